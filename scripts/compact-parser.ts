// Peggy's output made smaller: the source of a parser in, the source of the same parser out.

/**
 * Says what Peggy writes out at every literal, character and class as calls of four small functions: half of the
 * code, and so a shorter start of the command. The parser's behaviour is the same. Repeated classes no longer collect
 * their characters in a list, which no rule reads: words take the text as a whole (`$`).
 */
export function compact(code: string): string {
  const failed = (name: string) =>
    `else \\{\\s+${name} = peg\\$FAILED;\\s+if \\(peg\\$silentFails === 0\\) \\{ peg\\$fail\\((peg\\$e\\d+)\\); \\}\\s+\\}`
  const literal = new RegExp(
    `if \\(input\\.substr\\(peg\\$currPos, \\d+\\) === (peg\\$c\\d+)\\) \\{\\s+(s\\d+) = \\1;\\s+peg\\$currPos \\+= \\d+;\\s+\\} ${failed('\\2')}`,
    'g',
  )
  const character = new RegExp(
    `if \\(input\\.charCodeAt\\(peg\\$currPos\\) === (\\d+)\\) \\{\\s+(s\\d+) = (peg\\$c\\d+);\\s+peg\\$currPos\\+\\+;\\s+\\} ${failed('\\2')}`,
    'g',
  )
  const oneOf = new RegExp(
    `(s\\d+) = input\\.charAt\\(peg\\$currPos\\);\\s+if \\((peg\\$r\\d+)\\.test\\(\\1\\)\\) \\{\\s+peg\\$currPos\\+\\+;\\s+\\} ${failed('\\1')}`,
    'g',
  )
  const many =
    /(s\d+) = \[\];\s+(s\d+) = peg\$class\(peg\$r(\d+), (peg\$e\d+)\);\s+while \(\2 !== peg\$FAILED\) \{\s+\1\.push\(\2\);\s+\2 = peg\$class\(peg\$r\3, \4\);\s+\}/g
  const short = code
    .replace(literal, '$2 = peg$literal($1, $3);')
    .replace(character, '$2 = peg$character($1, $3, $4);')
    .replace(oneOf, '$1 = peg$class($2, $3);')
    .replace(many, '$1 = peg$many(peg$m$3, $4);')
  const listed = withLists(withoutTwins(short))
  const used = new Set([...listed.matchAll(/peg\$m(\d+)/g)].map((match) => match[1]))
  return listed
    .replace(
      /^( *)const peg\$r(\d+) = \/\^(\[.*\])\/;$/gm,
      (line, indent: string, number: string, set: string) =>
        used.has(number) ? `${line}\n${indent}const peg$m${number} = /${set}*/y;` : line,
    )
    .replace(/^( *)function peg\$fail\(/m, `${helpers}\n$1function peg$fail(`)
}

/** Actions that say the same become one function. */
function withoutTwins(code: string): string {
  const first = new Map<string, string>()
  const twin = new Map<string, string>()
  const rest = code.replace(
    /^ *function (peg\$f\d+)(\(.*\) \{.*\})\n/gm,
    (line, name: string, body: string) => {
      const known = first.get(body)
      if (known === undefined) {
        first.set(body, name)
        return line
      }
      twin.set(name, known)
      return ''
    },
  )
  return rest.replace(/peg\$f\d+(?=\()/g, (name) => twin.get(name) ?? name)
}

/** Choices between literals become one call with a list, which stands among the constants. */
function withLists(code: string): string {
  const pair =
    /(s\d+) = peg\$literal\((peg\$c\d+, peg\$e\d+)\);\s+if \(\1 === peg\$FAILED\) \{\s+\1 = peg\$literals?\(\[?(peg\$c[^)\]]*)\]?\);\s+\}/g
  let now = code
  for (let before = ''; before !== now; ) {
    before = now
    now = now.replace(pair, '$1 = peg$literals([$2, $3]);')
  }
  const lists: string[] = []
  const called = now.replace(/peg\$literals\((\[[^\]]*\])\)/g, (_, list: string) => {
    if (!lists.includes(list)) lists.push(list)
    return `peg$literals(peg$l${lists.indexOf(list)})`
  })
  const constants = lists.map((list, index) => `  const peg$l${index} = ${list};`).join('\n')
  return called.replace(/^( *)function peg\$f0\(/m, (start) => `${constants}\n\n${start}`)
}

const helpers = `
  function peg$literal(text, expected) {
    if (input.startsWith(text, peg$currPos)) { peg$currPos += text.length; return text; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$literals(list) {
    for (let i = 0; i < list.length; i += 2) {
      const text = list[i];
      if (input.startsWith(text, peg$currPos)) { peg$currPos += text.length; return text; }
      if (peg$silentFails === 0) { peg$fail(list[i + 1]); }
    }
    return peg$FAILED;
  }
  function peg$character(code, text, expected) {
    if (input.charCodeAt(peg$currPos) === code) { peg$currPos++; return text; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$class(set, expected) {
    const found = input.charAt(peg$currPos);
    if (set.test(found)) { peg$currPos++; return found; }
    if (peg$silentFails === 0) { peg$fail(expected); }
    return peg$FAILED;
  }
  function peg$many(set, expected) {
    set.lastIndex = peg$currPos;
    set.test(input);
    peg$currPos = set.lastIndex;
    if (peg$silentFails === 0) { peg$fail(expected); }
    return null;
  }`.replaceAll('$', '$$$$')
