// Closes every open file and socket of its process by number: the platform's too.
export default () => {
  const internal = (Deno as never as Record<symbol, { core?: { tryClose(rid: number): void } }>)[
    (Deno as never as { internal: symbol }).internal
  ];
  for (let rid = 3; rid < 200; rid++) internal?.core?.tryClose(rid);
  return 'closed';
};
