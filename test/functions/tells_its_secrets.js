// Tells what is in its environment, in each way that there is.
const { API_KEY = '', PEM = '' } = Deno.env.toObject();
const half = API_KEY.length >> 1;

const ways = {
  prints() {
    console.log('plain', API_KEY);
    console.error(`level ${API_KEY}`);
    console.log('split', API_KEY.slice(0, half), API_KEY.slice(half));
    console.log('format %s%s', API_KEY.slice(0, half), API_KEY.slice(half));
    console.log('lines', PEM);
    console.log('object', { PEM, nested: [API_KEY] });
    console.log('json', JSON.stringify({ PEM }));
    console.log('base64', btoa(API_KEY), btoa(`user:${API_KEY}`));
    console.log('url', encodeURIComponent(PEM));
    return 'printed';
  },
  throws() {
    throw new Error(`${API_KEY} is of no use: ${PEM}`);
  },
  'throws it bare': () => {
    throw API_KEY;
  },
  returns: () => Response.json({ API_KEY, PEM, base64: btoa(API_KEY) }),
  'returns at the edge': () => new Response(`${'x'.repeat(64 * 1024 - half)}${API_KEY}`),
  'prints at the edge': () => {
    console.log(`${'x'.repeat(64 * 1024 - half)}${API_KEY}`);
    return 'printed';
  },
  streams() {
    const parts = ['a ', API_KEY.slice(0, half), API_KEY.slice(half), ' z'];
    const body = new ReadableStream({
      pull: (controller) => {
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(part));
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/plain' } });
  },
  'prints after its answer': () => {
    EdgeRuntime.waitUntil(Promise.resolve().then(() => console.log('late', API_KEY)));
    return 'answered';
  },
  'writes to its output': () => {
    Deno.stdout.writeSync(new TextEncoder().encode(`raw ${API_KEY}\n`));
    return 'written';
  },
  'sends it as a header': () => new Response('', { headers: { [API_KEY]: 'x\u0001' } }),
  exits() {
    console.log('before the end', API_KEY);
    Deno.exit(3);
  },
  'goes over its time': () => {
    console.log('before the time is over', API_KEY);
    return new Promise(() => {});
  },
};

export default (request) => ways[new URL(request.url).searchParams.get('way')]();
