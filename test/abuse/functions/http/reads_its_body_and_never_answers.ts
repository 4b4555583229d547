// Takes what it is sent, byte by byte, for ever.
export default async (request: Request) => {
  for await (const _ of request.body ?? []) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise(() => {});
};
