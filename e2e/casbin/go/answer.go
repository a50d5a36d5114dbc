// Answers questions by Casbin for Go: answer v2|v3 model.conf policy.csv questions.json
// questions.json holds a list of requests, each a list of texts; prints a list of booleans.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	casbin2 "github.com/casbin/casbin/v2"
	casbin3 "github.com/casbin/casbin/v3"
)

type enforcer interface {
	Enforce(request ...interface{}) (bool, error)
}

func main() {
	if err := answer(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(version, model, policy, questions string) error {
	var asked enforcer
	var err error
	if version == "v2" {
		asked, err = casbin2.NewEnforcer(model, policy)
	} else {
		asked, err = casbin3.NewEnforcer(model, policy)
	}
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	text, err := os.ReadFile(questions)
	if err != nil {
		return err
	}
	var requests [][]interface{}
	if err := json.Unmarshal(text, &requests); err != nil {
		return err
	}
	answers := make([]bool, len(requests))
	for number, request := range requests {
		if answers[number], err = asked.Enforce(request...); err != nil {
			return fmt.Errorf("%v: %w", request, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
