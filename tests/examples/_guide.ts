/**
 * The snippets of a guide, as files that run. A fence says what they are called and where they run:
 * ` ```ts file=calm.ts ` is a file that others may import, ` ```ts file=calm_test.ts on=bun ` a test for Bun
 * alone, ` ```ts ` a script. A fence ` ```text ` that comes next is what a script prints.
 */
import { readFileSync } from "node:fs"

/** Where a snippet runs, if not everywhere. */
export type Platform = "deno" | "bun"

/** One snippet. */
export interface Snippet {
  readonly file: string
  readonly code: string
  /** The line of the guide that it begins at. */
  readonly line: number
  readonly on: Platform | undefined
  /** What the guide says that it prints; nothing where absent. */
  readonly prints: string | undefined
}

interface Fence {
  readonly language: string
  readonly attributes: Readonly<Record<string, string>>
  readonly code: string
  readonly line: number
}

/** The snippets of a guide, in their order. */
export function snippetsOf(guide: string | URL): Snippet[] {
  const fences = fencesOf(readFileSync(guide, "utf8"))
  const snippets = fences.flatMap(({ language, attributes, code, line }, i): Snippet[] => {
    if (language !== "ts") return []
    const { file = `script_${line}.ts`, on, ...others } = attributes
    if (Object.keys(others).length > 0 || (on !== undefined && on !== "deno" && on !== "bun")) {
      throw new Error(`line ${line}: expected file=... and on=deno or on=bun after \`\`\`ts`)
    }
    const next = fences[i + 1]
    return [{ file, code, line, on, prints: next?.language === "text" ? next.code : undefined }]
  })
  const twice = snippets.find(({ file }, i) => snippets.findIndex((one) => one.file === file) < i)
  if (twice === undefined) return snippets
  throw new Error(`line ${twice.line}: there is a snippet ${twice.file} already`)
}

function fencesOf(text: string): Fence[] {
  const fences: Fence[] = []
  let open: { info: string; line: number; code: string[] } | undefined
  text.split("\n").forEach((content, i) => {
    const fence = content.match(/^```(.*)$/)
    if (fence === null) open?.code.push(content)
    else if (open === undefined) open = { info: fence[1], line: i + 1, code: [] }
    else {
      const [language, ...attributes] = open.info.split(" ")
      fences.push({
        language,
        attributes: Object.fromEntries(attributes.map((one) => one.split("="))),
        code: `${open.code.join("\n")}\n`,
        line: open.line,
      })
      open = undefined
    }
  })
  return fences
}
