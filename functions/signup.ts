// Checks a sign-up form with zod: an import from npm, fetched once, when the function is deployed.
import { z } from 'npm:zod@3.25.76';

const Form = z.object({
  email: z.string().email(),
  name: z.string().min(1).max(80),
  age: z.number().int().min(13).optional(),
});

export default async function signup(request: Request): Promise<Response> {
  if (request.method !== 'POST') return Response.json({ error: 'POST a form' }, { status: 405 });
  const form = Form.safeParse(await request.json().catch(() => null));
  if (!form.success) return Response.json({ errors: form.error.flatten().fieldErrors }, { status: 422 });
  return Response.json({ welcome: form.data.name });
}
