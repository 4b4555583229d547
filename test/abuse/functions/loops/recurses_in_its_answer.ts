// Answers with an object 200,000 levels deep.
export default () => {
  let nested: object = {};
  for (let level = 0; level < 200_000; level++) nested = { nested };
  return nested;
};
