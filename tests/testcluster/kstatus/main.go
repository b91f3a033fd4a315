// Command kstatus prints what kstatus makes of objects' statuses.
//
// The library is Flux's fork of sigs.k8s.io/cli-utils, the one that Flux and Helm wait with. It is not the original, which
// not every module proxy serves; the fork has extensions of its own, so a verdict here is Flux's and Helm's.
//
// It reads a JSON list of objects (or a Kubernetes List) on standard input and prints a JSON list with one
// {"status": "Current", "message": "..."} for each, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Status  status.Status `json:"status"`
	Message string        `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var input json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return err
	}
	objects, err := parse(input)
	if err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(objects))
	for _, object := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			return err
		}
		verdicts = append(verdicts, verdict{Status: result.Status, Message: result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func parse(input json.RawMessage) ([]map[string]any, error) {
	var objects []map[string]any
	if err := json.Unmarshal(input, &objects); err == nil {
		return objects, nil
	}
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(input, &list); err != nil {
		return nil, fmt.Errorf("write a JSON list of objects, or a Kubernetes List: %w", err)
	}
	return list.Items, nil
}
