// @ts-check
/** An id for one request of this page: 128 random bits. (`crypto.randomUUID` is missing on plain http.) */
export function newClientId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
