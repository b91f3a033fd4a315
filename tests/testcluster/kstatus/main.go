// Command kstatus prints what kstatus makes of objects' statuses.
//
// The library is Flux's fork of sigs.k8s.io/cli-utils, the one that Flux and Helm wait with. It is not the original, which
// not every module proxy serves; the fork has extensions of its own, so a verdict here is Flux's and Helm's.
//
// It reads a JSON list of objects (or a Kubernetes List) on standard input and prints a JSON list with one
// {"status": "Current", "message": "..."} for each, in the same order.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
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
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	// Not encoding/json: it reads every number as a float, and a generation must be an integer.
	var input any
	if err := json.Unmarshal(text, &input); err != nil {
		return err
	}
	if list, ok := input.(map[string]any); ok {
		input = list["items"]
	}
	objects, ok := input.([]any)
	if !ok {
		return fmt.Errorf("write a JSON list of objects, or a Kubernetes List with items")
	}
	verdicts := make([]verdict, 0, len(objects))
	for i, object := range objects {
		fields, ok := object.(map[string]any)
		if !ok {
			return fmt.Errorf("entry %d is no object", i)
		}
		result, err := status.Compute(&unstructured.Unstructured{Object: fields})
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		verdicts = append(verdicts, verdict{Status: result.Status, Message: result.Message})
	}
	output, err := json.Marshal(verdicts)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(output))
	return err
}
