// Holds its process with a promise that never settles, and tells its beat to the request's address.
export default async (request: Request) => {
  const { beat } = await request.json();
  setInterval(
    () =>
      void fetch(beat).then(
        (answer) => answer.text(),
        () => {},
      ),
    50,
  );
  EdgeRuntime.waitUntil(new Promise(() => {}));
  return 'answered';
};
