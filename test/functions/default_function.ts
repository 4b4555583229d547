// The web style: a Request and a context in, a Response out.
interface Context {
  execution_id: string;
  tenant: string;
  params: Record<string, string>;
  user_id?: string;
  user_email?: string;
  user_role?: string;
}

export default function answer(request: Request, context: Context): Response {
  const { execution_id, tenant, params, user_id, user_email, user_role } = context;
  return Response.json({ url: request.url, execution_id, tenant, params, user_id, user_email, user_role });
}
