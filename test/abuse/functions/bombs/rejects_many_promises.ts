// Leaves 10,000 rejections unhandled.
export default async () => {
  for (let count = 0; count < 10_000; count++) void Promise.reject(new Error(`rejection ${count}`));
  await new Promise((resolve) => setTimeout(resolve, 10));
  return 'still here';
};
