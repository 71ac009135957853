package main

// A server may count in whole milliseconds: leases may end this much early, in microseconds.
const rounding = 1000

func only[S any](state S) []S { return []S{state} }

func when[S any](possible bool, state S) []S {
	if possible {
		return only(state)
	}
	return nil
}

// When a lease ends at the earliest.
func end(invoked int64, ms *int64) int64 {
	if ms == nil {
		return never
	}
	return invoked + *ms*1000 - rounding
}

type registerState struct {
	present bool
	value   string
	// Not told to anybody yet: at least newest.
	untold  bool
	version int64
	newest  int64
}

// The state if the entry has this version, 0 for no entry.
func (s registerState) having(version int64) (registerState, bool) {
	if version == 0 || !s.present {
		return s, version == 0 && !s.present
	}
	if s.untold && version >= s.newest {
		return registerState{present: true, value: s.value, version: version, newest: version}, true
	}
	return s, !s.untold && s.version == version
}

func (s registerState) expecting(asked input) (registerState, bool) {
	if asked.Op == "create" {
		return s.having(0)
	}
	if asked.Expected == nil {
		return s, true
	}
	return s.having(*asked.Expected)
}

func (s registerState) seeing(seen *entry) []registerState {
	if seen == nil {
		return when(!s.present, s)
	}
	after, possible := s.having(seen.Version)
	return when(possible && s.value == string(seen.Value), after)
}

func (s registerState) writing(value string, version *int64) []registerState {
	if version == nil {
		return only(registerState{present: true, value: value, untold: true, newest: s.newest + 1})
	}
	return when(*version > s.newest, registerState{present: true, value: value, version: *version, newest: *version})
}

func stepRegister(s registerState, o operation) []registerState {
	held, holds := s.expecting(o.Input)
	absent := registerState{newest: held.newest}
	switch {
	case o.Input.Op == "get" && o.answered():
		return s.seeing(o.Output.Entry)
	case o.Input.Op == "get":
		return nil
	case o.Input.Op == "delete" && (o.Output.Deleted || !o.answered()):
		return when(holds && held.present, absent)
	case o.Input.Op == "delete":
		other := o.Input.Expected != nil && (s.untold || s.version != *o.Input.Expected)
		return when(!s.present || other, s)
	case o.Output.Version != nil || !o.answered():
		if !holds {
			return nil
		}
		return held.writing(string(o.Input.Value), o.Output.Version)
	}
	// Refused, so what was seen must be other than what was expected.
	version, expected := int64(0), int64(0)
	if o.Output.Entry != nil {
		version = o.Output.Entry.Version
	}
	if o.Input.Expected != nil {
		expected = *o.Input.Expected
	}
	if o.Input.Op == "set" || version == expected {
		return nil
	}
	return s.seeing(o.Output.Entry)
}

type lockState struct {
	held bool
	// Granted in an answer that nobody got; the node may take such a grant back at any time.
	untold       bool
	fence        int64
	newest       int64
	until, clock int64
}

func (s lockState) free() lockState {
	return lockState{newest: s.newest, clock: s.clock}
}

// The states in which nobody holds the lock at some time up to the latest.
func (s lockState) freeBy(latest int64) []lockState {
	if !s.held {
		return only(s)
	}
	if latest < s.until || s.until == never {
		return nil
	}
	s.clock = max(s.clock, s.until)
	return only(s.free())
}

func stepLock(s lockState, o operation) []lockState {
	latest := o.latest()
	if latest < s.clock {
		return nil
	}
	isCurrent := s.held && !s.untold && s.fence == o.Input.Fence
	given := o.Output.Fence
	switch o.Input.Op {
	case "read":
		if !o.answered() {
			return nil
		}
		if given == nil {
			return s.freeBy(latest)
		}
		if s.untold && *given >= s.newest {
			s.untold, s.fence, s.newest = false, *given, *given
		}
		return when(s.held && !s.untold && s.fence == *given, s)
	case "acquire":
		if o.answered() && given == nil {
			return when(s.held, s)
		}
		var after []lockState
		for _, before := range s.freeBy(latest) {
			switch {
			case given == nil:
				before.held, before.untold, before.newest = true, true, before.newest+1
			case *given > before.newest:
				before.held, before.fence, before.newest = true, *given, *given
				before.until = end(o.Invoked, o.Input.TTLMs)
			default:
				continue
			}
			after = append(after, before)
		}
		return after
	}
	if o.answered() && !o.Output.Done {
		if isCurrent {
			return s.freeBy(latest)
		}
		return only(s)
	}
	switch o.Input.Op {
	case "release":
		return when(isCurrent, s.free())
	case "extend":
		s.until = end(o.Invoked, o.Input.TTLMs)
	}
	return when(isCurrent, s)
}

func stepCounter(value int64, o operation) []int64 {
	if o.Input.Op == "get" {
		return when(o.answered() && *o.Output.Value == value, value)
	}
	sum := value + o.Input.Delta
	fits := (o.Input.Min == nil || sum >= *o.Input.Min) && (o.Input.Max == nil || sum <= *o.Input.Max)
	if o.answered() && o.Output.Value == nil {
		return when(!fits, value)
	}
	return when(fits && (!o.answered() || *o.Output.Value == sum), sum)
}

type dedupState struct {
	claimed, done bool
	token, result string
	until, clock  int64
}

func (s dedupState) freeBy(latest int64) []dedupState {
	if !s.claimed && !s.done {
		return only(s)
	}
	return when(latest >= s.until, dedupState{token: s.token, clock: max(s.clock, s.until)})
}

func stepDedup(s dedupState, o operation) []dedupState {
	latest := o.latest()
	if latest < s.clock {
		return nil
	}
	if o.Input.Op == "claim" {
		switch o.Output.Claim {
		case "inProgress":
			return when(s.claimed, s)
		case "done":
			return when(s.done && s.result == string(o.Output.Result), s)
		}
		var after []dedupState
		for _, before := range s.freeBy(latest) {
			if o.answered() && before.token == o.Output.Token {
				continue
			}
			before.claimed, before.token = true, o.Output.Token
			before.until = end(o.Invoked, &o.Input.StaleMs)
			after = append(after, before)
		}
		return after
	}
	isCurrent := s.claimed && s.token == o.Input.Token
	if o.answered() && !o.Output.Done {
		if isCurrent {
			return s.freeBy(latest)
		}
		return only(s)
	}
	settled := dedupState{token: s.token, clock: s.clock}
	if o.Input.Op == "done" {
		settled.done, settled.result = true, string(o.Input.Result)
		settled.until = end(o.Invoked, &o.Input.WindowMs)
	}
	return when(isCurrent, settled)
}

var transitions = map[string][]string{
	"firing":       {"acknowledged", "resolved", "stale"},
	"acknowledged": {"resolved"},
}

func stepMachine(state string, o operation) []string {
	if o.answered() && o.Output.From != state {
		return nil
	}
	if o.Input.Op == "get" {
		return when(o.answered(), state)
	}
	allowed := false
	for _, next := range transitions[state] {
		allowed = allowed || next == o.Input.To && (o.Input.From == "" || o.Input.From == state)
	}
	if o.answered() && !o.Output.Done {
		return when(!allowed, state)
	}
	return when(allowed, o.Input.To)
}
