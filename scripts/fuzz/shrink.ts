// A disagreement is made small by cutting its text: blocks, lines, words. What does not check any more costs little; every
// other try is a run of the kernel, and one that waits for a neighbour takes many seconds: number and time have a bound.

/** Whether a text still shows the disagreement; undefined when it does not check. */
export type Shows = (text: string) => Promise<boolean | undefined>

/** How much a disagreement may cost: runs of the kernel, and whether there is time for another try. */
export interface Budget {
  tries: number
  readonly goesOn: () => boolean
}

function isSpent({ tries, goesOn }: Budget): boolean {
  return tries <= 0 || !goesOn()
}

/** Line ranges that may go: blocks with everything in them, then single lines; the last first. */
function ranges(lines: readonly string[]): (readonly [number, number])[] {
  const found: [number, number][] = []
  const open: number[] = []
  let quoted = -1
  for (const [index, line] of lines.entries()) {
    if (line.includes('"""')) {
      if (quoted === -1 && line.split('"""').length === 2) quoted = index
      else if (quoted !== -1) {
        found.push([quoted, index])
        quoted = -1
      }
    } else if (quoted !== -1) found.push([index, index])
    else if (line.trimEnd().endsWith('{')) open.push(index)
    else if (line.trim() === '}') found.push([open.pop() ?? index, index])
    else if (line.trim() !== '') found.push([index, index])
  }
  return found.sort((a, b) => b[1] - b[0] - (a[1] - a[0]) || b[0] - a[0])
}

function without(lines: readonly string[], cut: readonly (readonly [number, number])[]): string {
  return lines
    .filter((_line, index) => !cut.some(([first, last]) => index >= first && index <= last))
    .join('\n')
}

async function attempt(text: string, shows: Shows, budget: Budget): Promise<boolean> {
  if (isSpent(budget)) return false
  const answer = await shows(text)
  if (answer !== undefined) budget.tries -= 1
  return answer === true
}

/** All counters at once: they are most of the lines. */
function withoutClaims(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^ {2}counter /.test(line))
    .join('\n')
}

/** Many ranges at once, then fewer and fewer. */
async function cutLines(text: string, shows: Shows, budget: Budget): Promise<string> {
  let now = text
  let size = Math.ceil(ranges(now.split('\n')).length / 3)
  for (;;) {
    let changed = false
    for (let at = 0; !isSpent(budget); ) {
      const lines = now.split('\n')
      const all = ranges(lines)
      if (at >= all.length) break
      const cut = without(lines, all.slice(at, at + size))
      if (await attempt(cut, shows, budget)) {
        now = cut
        changed = true
      } else at += size
    }
    if (isSpent(budget) || (size === 1 && !changed)) return now
    size = Math.max(1, Math.floor(size / 2))
  }
}

async function cutWords(text: string, shows: Shows, budget: Budget): Promise<string> {
  let now = text
  const count = now.split('\n').length
  for (let line = count - 1; line > 2; line -= 1) {
    for (let length = 3; length > 0; length -= 1) {
      for (let at = 1; !isSpent(budget); at += 1) {
        const lines = now.split('\n')
        const words = (lines[line] ?? '').trim().split(' ')
        if (at + length > words.length) break
        const indent = /^ */.exec(lines[line] ?? '')?.[0] ?? ''
        lines[line] = indent + words.filter((_word, index) => index < at || index >= at + length).join(' ')
        const cut = lines.join('\n')
        if (await attempt(cut, shows, budget)) {
          now = cut
          at -= 1
        }
      }
    }
  }
  return now
}

/** The smallest text found that still shows the disagreement, within the budget. */
export async function shrink(text: string, shows: Shows, budget: Budget): Promise<string> {
  const bare = withoutClaims(text)
  const start = bare !== text && (await attempt(bare, shows, budget)) ? bare : text
  return cutWords(await cutLines(start, shows, budget), shows, budget)
}
