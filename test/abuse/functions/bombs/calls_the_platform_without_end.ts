// Sends 2,000 requests at once to the node's own address.
export default async () => {
  const url = `${Deno.env.get('HEARTH_URL')}/functions/v1/nothing-of-that-name`;
  const all = Array.from({ length: 2000 }, () =>
    fetch(url).then(
      async (answer) => {
        await answer.body?.cancel();
        return answer.status;
      },
      () => 0,
    ),
  );
  return { answered: (await Promise.all(all)).filter((status) => status === 404 || status === 401).length };
};
