// Verify a bundle's checkpoint and its receipts' proofs with Go's own checksum database packages.
//
// usage: verify_log BUNDLE. Needs Debian's golang-go and golang-golang-x-mod-dev, nothing of ours.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("WRONG:", err)
		os.Exit(1)
	}
}

func read(path string, into any) {
	data, err := os.ReadFile(path)
	must(err)
	must(json.Unmarshal(data, into))
}

// open verifies a signed checkpoint and returns the tree that it signs.
func open(text string, log note.Verifier) tlog.Tree {
	signed, err := note.Open([]byte(text), note.VerifierList(log))
	must(err)
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

func main() {
	data := filepath.Join(os.Args[1], "data")
	var key struct {
		Name    string `json:"name"`
		Ed25519 string
	}
	read(filepath.Join(data, "keys", "log.verify"), &key)
	public, err := base64.StdEncoding.DecodeString(key.Ed25519)
	must(err)
	vkey, err := note.NewEd25519VerifierKey(key.Name, public)
	must(err)
	log, err := note.NewVerifier(vkey)
	must(err)
	checkpoint, err := os.ReadFile(filepath.Join(data, "custody", "checkpoint"))
	must(err)
	fmt.Println("OK checkpoint of", open(string(checkpoint), log).N)
	receipts, err := filepath.Glob(filepath.Join(data, "recordings", "*", "receipt.json"))
	must(err)
	for _, path := range receipts {
		var receipt struct {
			Body struct{ Leaf, Proof string }
		}
		read(path, &receipt)
		steps, head, _ := strings.Cut(receipt.Body.Proof, "\n\n")
		lines := strings.Split(steps, "\n")
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		must(err)
		proof := tlog.RecordProof{}
		for _, line := range lines[2:] {
			hash, err := tlog.ParseHash(line)
			must(err)
			proof = append(proof, hash)
		}
		tree := open(head, log)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash([]byte(receipt.Body.Leaf))))
		fmt.Println("OK entry", index, "of", tree.N)
	}
}
