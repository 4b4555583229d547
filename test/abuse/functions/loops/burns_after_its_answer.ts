// Answers, and goes on working in small pieces that no one waits for; tells its beat to the request's address.
export default async (request: Request) => {
  const { beat } = await request.json();
  const work = () => {
    const end = Date.now() + 20;
    while (Date.now() < end);
    void fetch(beat).then(
      (answer) => answer.text(),
      () => {},
    );
    setTimeout(work, 20);
  };
  setTimeout(work, 0);
  return 'answered';
};
