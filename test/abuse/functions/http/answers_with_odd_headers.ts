// Answers with the status and the headers that its query names.
export default (request: Request) => {
  const { searchParams } = new URL(request.url);
  const headers = new Headers();
  for (const [name, value] of searchParams)
    if (name !== 'status' && name !== 'stream') headers.append(name, value);
  const status = Number(searchParams.get('status') ?? 200);
  const body = searchParams.has('stream') ? new Blob(['odd']).stream() : 'odd';
  return new Response([101, 204, 205, 304].includes(status) ? null : body, { status, headers });
};
