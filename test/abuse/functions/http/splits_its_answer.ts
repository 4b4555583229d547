// Puts line breaks into headers, in every style and by every way, to add headers and a second answer of its own.
import http from 'node:http';
import { tries } from '../tries.ts';

const evil = 'x\r\nset-cookie: forged=1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged';
export default async (request: Request) => {
  const { searchParams } = new URL(request.url);
  switch (searchParams.get('by')) {
    case 'value':
      return { status: 200, headers: { 'x-evil': evil }, body: 'x' };
    case 'name':
      return { status: 200, headers: { [evil]: 'x' }, body: 'x' };
    case 'status_text':
      return new Response('x', { statusText: evil });
    case 'line_feed':
      return { status: 200, headers: { 'x-evil': 'a\nset-cookie: forged=1' }, body: 'x' };
    case 'nul':
      return { status: 200, headers: { 'x-evil': 'a\0b' }, body: 'x' };
    case 'wide':
      // Characters that become a line break when they are cut to a byte.
      return { status: 200, headers: { 'x-evil': 'a\u010d\u010aset-cookie: forged=1' }, body: 'x' };
    case 'location':
      return new Response(null, { status: 302, headers: { location: '/x%0d%0aset-cookie:%20forged=1' } });
    default:
      return await tries({ node: () => http.validateHeaderValue('x', evil) });
  }
};
