// Takes /shop/sale-:code, a longer literal than /shop/.
// @hearth:route /shop/sale-:code
export default (_request: Request, { params }: { params: Record<string, string> }) => ({
  took: 'sale',
  params,
});
