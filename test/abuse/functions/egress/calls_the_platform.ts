// No attack: calls the node by the address that it is told.
export default async () => {
  const answer = await fetch(`${Deno.env.get('HEARTH_URL')}/healthz`);
  return { answered: answer.status };
};
