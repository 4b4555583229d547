// Throws what is in its environment while it loads.
console.log('loading', Deno.env.get('API_KEY'));
export default () => 'never';
throw new Error(`cannot start with ${Deno.env.get('API_KEY')}`);
