// A small REST service in one Deno.serve handler, with a route of its own: /notes and /notes/:id.
// Notes live in the memory of one process: they go when it does, and a second process has its own.
// @hearth:route /notes
// @hearth:route /notes/:id

interface Note {
  id: string;
  text: string;
}

const notes = new Map<string, Note>();

Deno.serve(async (request) => {
  const id = new URLPattern({ pathname: '*/notes/:id' }).exec(request.url)?.pathname.groups.id;
  if (request.method === 'GET' && id === undefined) return Response.json([...notes.values()]);
  if (request.method === 'POST' && id === undefined) {
    const { text } = await request.json();
    if (typeof text !== 'string' || text === '')
      return Response.json({ error: 'text is missing' }, { status: 400 });
    const note = { id: crypto.randomUUID(), text };
    notes.set(note.id, note);
    return Response.json(note, { status: 201 });
  }
  const note = notes.get(id ?? '');
  if (note === undefined) return Response.json({ error: 'no such note' }, { status: 404 });
  if (request.method === 'DELETE') {
    notes.delete(note.id);
    return new Response(null, { status: 204 });
  }
  return Response.json(note);
});
