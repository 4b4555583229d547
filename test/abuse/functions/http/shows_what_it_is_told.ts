// Shows who is calling, as the platform tells it.
export default async (request: Request, context: Record<string, unknown>) => ({
  method: request.method,
  url: request.url,
  headers: [...request.headers],
  body: await request.text(),
  user_id: context.user_id,
  user_role: context.user_role,
  execution_id: context.execution_id,
  params: context.params,
  tenant: context.tenant,
});
