/**
 * Ids to one block. Loops over the vocabulary call a function for each block, for two reasons:
 *
 * - a draw walks the sums of the blocks, and then the weights of one block only;
 * - V8 gives a function its best code after 3000 calls. Called once a token, a short loop would run
 *   for thousands of tokens as a part of its caller's Maglev code, at half the speed and less.
 */
export const BLOCK = 256
