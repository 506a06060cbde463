// Package chaos runs Leat as its users do, as processes, and kills them: kill -9
// at moments that a seed decides, in the middle of examples/quakes on real data.
// Whatever was killed, the results, the effects and every history must be those
// of a quiet run. LEAT_CHAOS_SEED=n repeats a run's decisions.
package chaos
