package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const withoutSysResource = "Name:\trunc\nCapEff:\t000001fffeffffff\n"

func TestOnlyWhatRootLacksIsLacking(t *testing.T) {
	lacking := lackingIn(withoutSysResource)
	if len(lacking) != 1 || !lacking["CAP_SYS_RESOURCE"] {
		t.Fatalf("lacking = %v", lacking)
	}
	if full := lackingIn("CapEff:\t000001ffffffffff\n"); len(full) != 0 {
		t.Fatalf("a full set lacks %v", full)
	}
}

func TestLargeNumbersSurviveAndCapabilitiesGo(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "config.json")
	given := `{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE","CAP_KILL"]},"oomScoreAdj":-998,
	  "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615}]}}`
	if err := os.WriteFile(path, []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bound([]string{"--root", "/r", "create", "--bundle", folder, "id"}, lackingIn(withoutSysResource)); err != nil {
		t.Fatal(err)
	}
	content, _ := os.ReadFile(path)
	if text := string(content); strings.Contains(text, "SYS_RESOURCE") || strings.Contains(text, "oomScoreAdj") ||
		!strings.Contains(text, "CAP_KILL") || !strings.Contains(text, "18446744073709551615") || !json.Valid(content) {
		t.Fatal(text)
	}
}
