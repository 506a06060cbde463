// The least time in nanoseconds of one pure transition of XState on a chart of
// charts.go: node bench.mjs parallel|history ROUNDS TURN_MS
import { createMachine, initialTransition, transition } from 'xstate'

const region = (i) => ({
  initial: 'a' + i,
  states: { ['a' + i]: { on: { go: 'b' + i } }, ['b' + i]: { on: { go: 'a' + i } } }
})
const charts = {
  parallel: [{ initial: 'p', states: { p: { type: 'parallel', states: { r0: region(0), r1: region(1) } } } }, ['go']],
  history: [{
    initial: 'work',
    states: {
      work: {
        on: { out: 'away' }, initial: 'two',
        states: { h: { type: 'history', history: 'deep', target: 'one' }, one: {}, two: { initial: 'y', states: { x: {}, y: {} } } }
      },
      away: { on: { back: 'work.h' } }
    }
  }, ['out', 'back']]
}
const [, , name, rounds, turn] = process.argv
const [config, events] = charts[name]
const machine = createMachine(config)
let [state] = initialTransition(machine)
let best = Infinity
for (let round = 0; round <= Number(rounds); round++) { // the first warms up
  const begin = process.hrtime.bigint()
  const spent = process.cpuUsage()
  let count = 0
  while (process.hrtime.bigint() - begin < BigInt(turn) * 1000000n) {
    for (let i = 0; i < 256; i++, count++) {
      [state] = transition(machine, state, { type: events[count % events.length] })
    }
  }
  const used = process.cpuUsage(spent)
  const ns = 1000 * (used.user + used.system) / count
  if (round > 0) best = Math.min(best, ns)
}
console.log(Math.round(best))
