// Checks histories with Porcupine (https://github.com/anishathalye/porcupine), so that our own checker is not its only
// judge. The histories and the objects are described in ../README.md; the models here are written anew.
//
// Prints one line a file: its name, a space, and ok, illegal or unknown (no verdict in time).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	// For one object.
	patience = 10 * time.Second
	// Never, in microseconds.
	never = math.MaxInt64
	// No line is longer than a value may be, and some.
	longestLine = 4 << 20
)

type operation struct {
	Client   int    `json:"client"`
	Kind     string `json:"kind"`
	Key      string `json:"key"`
	Input    input  `json:"input"`
	Outcome  string `json:"outcome"`
	Output   output `json:"output"`
	Invoked  int64  `json:"invoked"`
	Returned int64  `json:"returned"`
}

func (o operation) answered() bool { return o.Outcome == "ok" }

// The latest moment at which it can have been done.
func (o operation) latest() int64 {
	if o.answered() {
		return o.Returned
	}
	return never
}

type input struct {
	Op       string          `json:"op"`
	Value    json.RawMessage `json:"value"`
	Expected *int64          `json:"expected,string"`
	Delta    int64           `json:"delta,string"`
	Min      *int64          `json:"min,string"`
	Max      *int64          `json:"max,string"`
	Fence    int64           `json:"fence,string"`
	TTLMs    *int64          `json:"ttlMs"`
	Token    string          `json:"token"`
	Result   json.RawMessage `json:"result"`
	StaleMs  int64           `json:"staleMs"`
	WindowMs int64           `json:"windowMs"`
	From     string          `json:"from"`
	To       string          `json:"to"`
}

type output struct {
	Version *int64          `json:"version,string"`
	Entry   *entry          `json:"entry"`
	Deleted bool            `json:"deleted"`
	Fence   *int64          `json:"fence,string"`
	Done    bool            `json:"done"`
	Value   *int64          `json:"value,string"`
	Claim   string          `json:"claim"`
	Token   string          `json:"token"`
	Result  json.RawMessage `json:"result"`
	From    string          `json:"from"`
}

type entry struct {
	Value   json.RawMessage `json:"value"`
	Version int64           `json:"version,string"`
}

var models = map[string]porcupine.NondeterministicModel{
	"register": modelOf(registerState{}, stepRegister),
	"lock":     modelOf(lockState{}, stepLock),
	"counter":  modelOf(int64(0), stepCounter),
	"dedup":    modelOf(dedupState{}, stepDedup),
	"machine":  modelOf("firing", stepMachine),
}

// modelOf makes a model of a function that gives all states that an operation can lead to, none when its answer cannot be.
// What nobody knows the outcome of may also never have been done.
func modelOf[S comparable](initial S, step func(S, operation) []S) porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{initial} },
		Step: func(state, in, _ interface{}) []interface{} {
			asked := in.(operation)
			var after []interface{}
			if !asked.answered() {
				after = append(after, state)
			}
			for _, next := range step(state.(S), asked) {
				after = append(after, next)
			}
			return after
		},
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, file := range os.Args[1:] {
		history, err := readHistory(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			os.Exit(2)
		}
		fmt.Fprintln(out, file, check(history))
	}
}

func readHistory(file string) ([]operation, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var history []operation
	lines := bufio.NewScanner(opened)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var read operation
		if err := json.Unmarshal(lines.Bytes(), &read); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(history)+1, err)
		}
		if _, known := models[read.Kind]; !known {
			return nil, fmt.Errorf("line %d: no model for %q", len(history)+1, read.Kind)
		}
		history = append(history, read)
	}
	return history, lines.Err()
}

func check(history []operation) string {
	type object struct{ kind, key string }
	objects := map[object][]porcupine.Operation{}
	for _, done := range history {
		if done.Outcome == "fail" {
			continue
		}
		name := object{done.Kind, done.Key}
		objects[name] = append(objects[name], porcupine.Operation{
			ClientId: done.Client, Input: done, Call: done.Invoked, Return: done.latest(),
		})
	}
	verdict := "ok"
	for name, operations := range objects {
		model := models[name.kind]
		switch porcupine.CheckOperationsTimeout(model.ToModel(), operations, patience) {
		case porcupine.Illegal:
			return "illegal"
		case porcupine.Unknown:
			verdict = "unknown"
		}
	}
	return verdict
}
