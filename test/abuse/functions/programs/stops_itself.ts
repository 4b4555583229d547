// Stops its own process, which then answers no one.
export default async () => {
  Deno.kill(Deno.pid, 'SIGSTOP');
  // The first process of a sandbox cannot be stopped from within.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return 'still here';
};
