// Turns the TAP of a whole run into one line per test file, and repeats in full only what failed.

/**
 * @param print gets each line of the summary
 * @returns `add(line)` for each line of TAP, `end()` for the totals (assertions, as tap counts them)
 */
export function createSummary(print) {
  let lines = []
  let totals

  const finishFile = (verdict, file, rest) => {
    const milliseconds = /time=([\d.]+)ms/.exec(rest)?.[1]
    const seconds = milliseconds === undefined ? '' : `${(Number(milliseconds) / 1000).toFixed(1)} s`
    const skipped = lines
      .map((line) => /^\s+ok \d+ - (.*?) # SKIP\s*(.*)$/i.exec(line))
      .filter((match) => match !== null)
    print(`${verdict === 'ok' ? 'ok    ' : 'FAILED'} ${seconds.padStart(8)}  ${file}`)
    for (const [, name, reason] of skipped) print(`         skipped  ${name}${reason === '' ? '' : `: ${reason}`}`)
    if (verdict !== 'ok') for (const line of failedParts(lines)) print(line)
    lines = []
  }

  return {
    add(line) {
      const total = /^# \{ total: (.*) \}$/.exec(line)
      if (total !== null) totals = countsOf(line)
      const file = /^(ok|not ok) \d+ - ([^#]*?)(?: #(.*))?(?: \{)?$/.exec(line)
      if (file === null) lines.push(line)
      else finishFile(file[1], file[2], file[3] ?? line)
    },
    end() {
      for (const line of lines.filter((text) => /^Bail out/i.test(text))) print(line)
      return totals ?? { passed: 0, failed: 0 }
    },
  }
}

/** `# { total: 20, pass: 17, fail: 1, skip: 2 }`; members that are zero are left out by tap. */
function countsOf(line) {
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail') }
}

/** Failed assertions with their diagnostics, or all of it when no line says what failed (a crash). */
function failedParts(lines) {
  const kept = []
  let inDiagnostic = false
  for (const line of lines) {
    if (/^\s*not ok /.test(line)) {
      kept.push(line)
      inDiagnostic = true
    } else if (inDiagnostic && /^\s*(ok \d|1\.\.|# Subtest)/.test(line)) inDiagnostic = false
    else if (inDiagnostic) kept.push(line)
  }
  return kept.length > 0 ? kept : lines
}
