// Throws an Error two calls deep.
interface Order {
  id: string;
}

export default function answer(): Response {
  return Response.json(load({ id: 'secret-order' }));
}

function load(order: Order): Order {
  throw new TypeError(`cannot load ${order.id}`); // line 11
}
