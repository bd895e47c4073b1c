/**
 * The tree that RAIN searches: token sets, how often each was tried, and what came of it. Selection,
 * backup and priors as in https://github.com/SafeAILab/RAIN, with values from -1 to 1.
 */

/** The uniform share of the priors below the root. */
const noise = 0.25

/** Tokens that are written together, and their probability. */
export interface TokenSet {
  readonly ids: readonly number[]
  readonly chance: number
}

/** Tokens after those of its parent. */
export class TreeNode {
  readonly set: TokenSet
  /** Sets from the beginning of the text. */
  readonly depth: number
  readonly children: TreeNode[] = []
  parent: TreeNode | undefined
  prior: number
  visits = 0
  /** The mean of what came of it, from -1 to 1. */
  value = 0

  constructor(set: TokenSet, prior = 1, parent?: TreeNode) {
    this.set = set
    this.prior = prior
    this.parent = parent
    this.depth = parent === undefined ? 0 : parent.depth + 1
  }

  /** Children from token sets, with their shares of the chances as priors. */
  expand(sets: readonly TokenSet[]): void {
    const total = sets.reduce((sum, { chance }) => sum + chance, 0)
    for (const set of sets) this.children.push(new TreeNode(set, set.chance / total, this))
    if (this.parent === undefined) this.#mixPriors()
  }

  /** One child more, unless it is there already. */
  add(set: TokenSet): void {
    if (this.children.some(({ set: { ids } }) => areEqual(ids, set.ids))) return
    const total = this.children.reduce((sum, { set: { chance } }) => sum + chance, set.chance)
    const share = set.chance / total
    // Those that were there keep their priors.
    const prior = this.parent === undefined
      ? (1 - noise) * share + noise / (this.children.length + 1)
      : share
    this.children.push(new TreeNode(set, prior, this))
  }

  /** The child with the greatest `(value + 1) / 2 + exploration * prior * sqrt(visits) / (1 + its visits)`. */
  select(exploration: number): TreeNode {
    return best(this.children, (child) => {
      const value = child.visits === 0 ? 0 : (child.value + 1) / 2
      return value + exploration * child.prior * Math.sqrt(this.visits) / (1 + child.visits)
    })
  }

  /** Takes a value into the means of this node and all above it. */
  backUp(value: number): void {
    this.visits++
    this.value += (value - this.value) / this.visits
    this.parent?.backUp(value)
  }

  /** The child that was tried most, of equals the one with the greatest value. */
  get favourite(): TreeNode | undefined {
    if (this.children.length === 0) return undefined
    const most = Math.max(...this.children.map(({ visits }) => visits))
    return best(this.children.filter(({ visits }) => visits === most), ({ value }) => value)
  }

  /** All children have been tried, and none is any good. */
  get isPoor(): boolean {
    return this.children.every(({ visits, value }) => visits > 0 && value < 0)
  }

  /** Makes it the root, with what is known below it. */
  becomeRoot(): void {
    this.parent = undefined
    this.#mixPriors()
  }

  #mixPriors(): void {
    const total = this.children.reduce((sum, { prior }) => sum + prior, 0)
    for (const child of this.children) {
      // Its own share of what there is; added children have made it more than 1.
      child.prior = ((1 - noise) * child.prior + noise / this.children.length) /
        ((1 - noise) * total + noise)
    }
  }
}

/** The first of the greatest. */
function best(nodes: readonly TreeNode[], worth: (node: TreeNode) => number): TreeNode {
  const worths = nodes.map(worth)
  return nodes[worths.indexOf(Math.max(...worths))]
}

/** Whether two sets are the same tokens. */
export function areEqual(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((id, i) => id === other[i])
}
