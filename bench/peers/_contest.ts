/** One peer against us: the settings of each side are chosen, then all sides write in turn. */
import { median, spread } from "../_statistics.ts"
import { interleave } from "../_timing.ts"
import type { DecodeFiles } from "./_decode_files.ts"
import type { DecodePeer, TextTask } from "./_decode_task.ts"
import { type GenarmTask, openGenarm } from "./_genarm_decode.ts"
import type { OpenedPeer } from "./_open_peer.ts"
import type { DecodeContest } from "./decode.ts"

/** How much is measured. */
export interface ContestSize {
  readonly text: TextTask
  readonly rounds: number
  /** Settings that are tried for each side at most. */
  readonly tries: number
}

/** What came out, for a table with these columns. */
export interface ContestResult {
  readonly rows: (string | number)[][]
  /** Who wrote, with which settings, or why nothing was measured. */
  readonly note: string
}

/** Columns of the rows. */
export const contestColumns = [
  "peer",
  "weights",
  "ours",
  "ours ms/token",
  "peer ms/token",
  "peer / ours",
  "same ids",
]

/** What a contest is called in notes. */
export function contestTitle({ name, guided, precision }: DecodeContest): string {
  return `${name}${guided ? ", guided" : ""}, ${precision}`
}

/** One of our sides: what it is called, and its model. */
interface OurSide {
  readonly name: string
  readonly peer: DecodePeer
}

/** Measures one peer. */
export async function runContest(
  files: DecodeFiles,
  contest: DecodeContest,
  { text, rounds, tries }: ContestSize,
): Promise<ContestResult> {
  const candidates = await contest.candidates(files)
  const peer = await fastest(candidates.slice(0, tries), drawnAs(text, contest))
  if ("skipped" in peer) {
    return { rows: [], note: `${contestTitle(contest)}: left out, ${peer.skipped}` }
  }
  let ours: OurSide[] = []
  try {
    const same = await sameIds(files, contest, peer, text)
    ours = await openOurs(files, contest, text, tries)
    const rows = await timed(contest, ours, peer, text, rounds)
    const settings = ours.map(({ name, peer }) => `${name} ${peer.about}`).join("; ")
    return {
      rows: rows.map((row) => [...row, same]),
      note: `${contestTitle(contest)}: ${peer.about}. Ours: ${settings}.`,
    }
  } finally {
    for (const { peer } of ours) await peer.close()
    await peer.close()
  }
}

async function timed(
  contest: DecodeContest,
  ours: readonly OurSide[],
  peer: DecodePeer,
  text: TextTask,
  rounds: number,
): Promise<(string | number)[][]> {
  const theirText = drawnAs(text, contest)
  const sides = [...ours.map(({ peer }) => () => peer.write(text)), () => peer.write(theirText)]
  const times = await interleave(sides, rounds)
  const each = times.map((texts) => texts.map(({ each }) => each))
  const theirs = each[ours.length]
  return ours.map(({ name }, i) => [
    contest.name,
    contest.precision,
    name,
    median(each[i]).toFixed(2),
    median(theirs).toFixed(2),
    spread(theirs.map((time, round) => time / each[i][round]), 2),
  ])
}

/** Opens our sides of a contest. */
async function openOurs(
  files: DecodeFiles,
  contest: DecodeContest,
  text: TextTask,
  tries: number,
): Promise<OurSide[]> {
  const { adapter, merged } = files.arm
  const tasks: Record<string, Partial<GenarmTask>> = contest.guided
    ? { "with an adapter": { arm: { adapter } }, "with a model": { arm: { model: merged } } }
    : { unguided: {} }
  const { precision, sampled = false } = contest
  const sides: OurSide[] = []
  for (const [name, task] of Object.entries(tasks)) {
    const candidates = [2, 1].map((threads) => () =>
      openGenarm({ base: files.base, precision, sampled, threads, ...task })
    )
    const peer = await fastest(candidates.slice(0, tries), text)
    if ("skipped" in peer) throw new Error(`our own side failed: ${peer.skipped}`)
    sides.push({ name, peer })
  }
  return sides
}

/** How many of the first ids a peer has in common with us, where both choose the likeliest. */
async function sameIds(
  files: DecodeFiles,
  { guided, precision }: DecodeContest,
  peer: DecodePeer,
  text: TextTask,
): Promise<string> {
  const arm = guided && { arm: { model: files.arm.merged } }
  const reference = await openGenarm({ base: files.base, precision, threads: 2, ...arm })
  try {
    const { ids } = await reference.write(text)
    const theirs = await peer.write(text)
    const parting = ids.findIndex((id, i) => id !== theirs.ids[i])
    return `${parting === -1 ? ids.length : parting} of ${ids.length}`
  } finally {
    await reference.close()
  }
}

/** Opens the candidates one after another, and keeps the one that writes a text the fastest. */
async function fastest(
  candidates: readonly (() => Promise<OpenedPeer>)[],
  text: TextTask,
): Promise<OpenedPeer> {
  let best: { readonly peer: DecodePeer; readonly time: number } | undefined
  let failed: OpenedPeer = { skipped: "nothing was tried" }
  for (const open of candidates) {
    const peer = await open()
    if ("skipped" in peer) {
      failed = peer
      continue
    }
    const times: number[] = []
    for (let i = 0; i < 3; i++) times.push((await peer.write({ ...text, tokens: 12 })).each)
    const time = Math.min(...times)
    if (best !== undefined && best.time <= time) {
      await peer.close()
      continue
    }
    await best?.peer.close()
    best = { peer, time }
  }
  return best?.peer ?? failed
}

function drawnAs(text: TextTask, { sampled }: DecodeContest): TextTask {
  return { ...text, ...sampled && { sampled } }
}
