// Returns something whose `then` is called and never calls back.
export default async () => ({
  // biome-ignore lint/suspicious/noThenProperty: that is the attack
  then() {},
});
