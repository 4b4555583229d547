// Answers with a header of 4 MB.
export default () => new Response('huge', { headers: { 'x-huge': 'x'.repeat(4 * 1024 * 1024) } });
