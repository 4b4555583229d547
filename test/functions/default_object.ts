// The style of Bun and Cloudflare Workers: a default export with a fetch method, which may use `this`.
export default {
  greeting: 'from fetch',
  fetch(_request: Request, context: { tenant: string }): Response {
    return new Response(`${this.greeting} for ${context.tenant}`);
  },
};
