/** The two private certificate authorities of an endpoint with an address. One of them signs its certificate. */
export const AUTHORITIES = ["first", "second"] as const;

export type AuthorityName = (typeof AUTHORITIES)[number];
