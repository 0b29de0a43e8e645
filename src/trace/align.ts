// Which lines of two texts are the same line. Enters: two lists of strings; leaves: for each of the left its partner on
// the right. Patience alignment: lines that occur once on both sides are anchors, what lies between them is aligned
// again, and small rests get a longest common subsequence. The cost grows with the number of lines, never with their
// product: texts that share nothing are given up at once.

/** What an alignment did; tests bound it. */
export interface AlignWork {
  steps: number
}

const depthMax = 40
/** A rest of at most this many cells (64 x 64) is aligned exactly: at most 64 steps for each of its lines. */
const cellsMax = 4096

interface Range {
  readonly leftStart: number
  readonly leftEnd: number
  readonly rightStart: number
  readonly rightEnd: number
  readonly depth: number
}

interface Job {
  readonly left: Int32Array
  readonly right: Int32Array
  readonly partner: Int32Array
  readonly leftCount: Int32Array
  readonly rightCount: Int32Array
  readonly rightAt: Int32Array
  readonly work: AlignWork
}

/** For each index of `left` the index of its partner in `right`, or -1; partners are in ascending order. */
export function align(
  left: readonly string[],
  right: readonly string[],
  work: AlignWork = { steps: 0 },
): Int32Array {
  const ids = new Map<string, number>()
  const job: Job = {
    left: intern(left, ids),
    right: intern(right, ids),
    partner: new Int32Array(left.length).fill(-1),
    leftCount: new Int32Array(ids.size),
    rightCount: new Int32Array(ids.size),
    rightAt: new Int32Array(ids.size),
    work,
  }
  work.steps += left.length + right.length
  const ranges: Range[] = [
    { leftStart: 0, leftEnd: left.length, rightStart: 0, rightEnd: right.length, depth: 0 },
  ]
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) alignRange(job, range, ranges)
  return job.partner
}

function intern(texts: readonly string[], ids: Map<string, number>): Int32Array {
  const numbers = new Int32Array(texts.length)
  texts.forEach((text, index) => {
    let id = ids.get(text)
    if (id === undefined) {
      id = ids.size
      ids.set(text, id)
    }
    numbers[index] = id
  })
  return numbers
}

function alignRange(job: Job, range: Range, ranges: Range[]): void {
  const { left, right, partner, work } = job
  let { leftStart, leftEnd, rightStart, rightEnd } = range
  while (leftStart < leftEnd && rightStart < rightEnd && left[leftStart] === right[rightStart]) {
    partner[leftStart] = rightStart
    leftStart += 1
    rightStart += 1
    work.steps += 1
  }
  while (leftStart < leftEnd && rightStart < rightEnd && left[leftEnd - 1] === right[rightEnd - 1]) {
    leftEnd -= 1
    rightEnd -= 1
    partner[leftEnd] = rightEnd
    work.steps += 1
  }
  if (leftStart === leftEnd || rightStart === rightEnd) return
  const rest: Range = { leftStart, leftEnd, rightStart, rightEnd, depth: range.depth }
  if ((leftEnd - leftStart) * (rightEnd - rightStart) <= cellsMax) alignExactly(job, rest)
  else if (range.depth < depthMax) alignAnchors(job, rest, ranges)
}

/** Indexes in `left` of the lines that occur exactly once in both ranges. */
function anchorsIn(job: Job, range: Range): number[] {
  const { left, right, leftCount, rightCount, rightAt, work } = job
  const id = (numbers: Int32Array, at: number): number => numbers[at] ?? 0
  for (let at = range.leftStart; at < range.leftEnd; at += 1) {
    leftCount[id(left, at)] = (leftCount[id(left, at)] ?? 0) + 1
  }
  for (let at = range.rightStart; at < range.rightEnd; at += 1) {
    rightCount[id(right, at)] = (rightCount[id(right, at)] ?? 0) + 1
    rightAt[id(right, at)] = at
  }
  const anchors: number[] = []
  for (let at = range.leftStart; at < range.leftEnd; at += 1) {
    if (leftCount[id(left, at)] === 1 && rightCount[id(left, at)] === 1) anchors.push(at)
  }
  for (let at = range.leftStart; at < range.leftEnd; at += 1) leftCount[id(left, at)] = 0
  for (let at = range.rightStart; at < range.rightEnd; at += 1) rightCount[id(right, at)] = 0
  work.steps += 3 * (range.leftEnd - range.leftStart) + 2 * (range.rightEnd - range.rightStart)
  return anchors
}

function alignAnchors(job: Job, range: Range, ranges: Range[]): void {
  const chain = longestRising(job, anchorsIn(job, range))
  if (chain.length === 0) return
  let { leftStart, rightStart } = range
  const depth = range.depth + 1
  for (const leftEnd of chain) {
    const rightEnd = job.rightAt[job.left[leftEnd] ?? 0] ?? 0
    ranges.push({ leftStart, leftEnd, rightStart, rightEnd, depth })
    job.partner[leftEnd] = rightEnd
    leftStart = leftEnd + 1
    rightStart = rightEnd + 1
  }
  ranges.push({ leftStart, leftEnd: range.leftEnd, rightStart, rightEnd: range.rightEnd, depth })
}

/** The longest run of anchors whose partners rise: patience sorting, one binary search for each anchor. */
function longestRising(job: Job, anchors: readonly number[]): number[] {
  const partnerOf = (anchor: number): number => job.rightAt[job.left[anchor] ?? 0] ?? 0
  const tops: number[] = []
  const before = new Map<number, number>()
  for (const anchor of anchors) {
    const partner = partnerOf(anchor)
    let low = 0
    let high = tops.length
    while (low < high) {
      const middle = (low + high) >> 1
      job.work.steps += 1
      if (partnerOf(tops[middle] ?? 0) < partner) low = middle + 1
      else high = middle
    }
    const previous = tops[low - 1]
    if (previous !== undefined) before.set(anchor, previous)
    tops[low] = anchor
  }
  const chain: number[] = []
  for (let at = tops.at(-1); at !== undefined; at = before.get(at)) chain.push(at)
  return chain.reverse()
}

/** Longest common subsequence of a small range; of several the one that matches earliest on the left. */
function alignExactly(job: Job, { leftStart, leftEnd, rightStart, rightEnd }: Range): void {
  const { left, right, partner, work } = job
  const rows = leftEnd - leftStart
  const columns = rightEnd - rightStart
  const width = columns + 1
  const lengths = new Uint16Array((rows + 1) * width)
  work.steps += rows * columns
  const cell = (row: number, column: number): number => lengths[row * width + column] ?? 0
  for (let row = rows - 1; row >= 0; row -= 1) {
    for (let column = columns - 1; column >= 0; column -= 1) {
      const same = left[leftStart + row] === right[rightStart + column]
      lengths[row * width + column] = same
        ? cell(row + 1, column + 1) + 1
        : Math.max(cell(row + 1, column), cell(row, column + 1))
    }
  }
  let row = 0
  let column = 0
  while (row < rows && column < columns) {
    if (left[leftStart + row] === right[rightStart + column]) {
      partner[leftStart + row] = rightStart + column
      row += 1
      column += 1
    } else if (cell(row + 1, column) >= cell(row, column + 1)) row += 1
    else column += 1
  }
}
