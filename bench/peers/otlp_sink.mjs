// A collector that takes everything and keeps nothing: what it costs to send is measured, not what becomes of it.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  request
    .resume()
    .on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
server.listen(0, '127.0.0.1', () => console.log(`listens on ${server.address().port}`));
