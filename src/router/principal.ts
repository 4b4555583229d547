/** Who a request comes from, once its credential has been verified. */

export type Role = 'anon' | 'authenticated' | 'service_role' | 'admin';

export interface Principal {
  role: Role;
  /** The tenant that the credential belongs to; null for the admin key, which belongs to none. */
  tenant: string | null;
  /** `sub` of the token. */
  userId?: string;
  userEmail?: string;
}
