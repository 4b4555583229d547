// Waits for 10,000 promises at once: nothing is wrong with that.
export default async () => {
  const all = Array.from(
    { length: 10_000 },
    (_, index) => new Promise<number>((resolve) => setTimeout(resolve, index % 20, 1)),
  );
  return { sum: (await Promise.all(all)).reduce((sum, one) => sum + one, 0) };
};
