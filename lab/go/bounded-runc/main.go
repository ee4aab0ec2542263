// bounded-runc is an OCI runtime that takes from a container's wishes what this machine's root does not hold itself, then
// becomes runc. Without it `--privileged` fails where root's bounding set lacks, say, CAP_SYS_RESOURCE. Where root holds every
// capability that a container asks for, it leaves the bundle byte for byte as it was.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const runc = "/usr/sbin/runc"

// In the order of their numbers in linux/capability.h.
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// object is a JSON object whose numbers stay as they were written: RLIM_INFINITY does not survive a float.
type object = map[string]any

func main() {
	arguments := os.Args[1:]
	lacking := lackingIn(readStatus())
	if len(lacking) > 0 {
		if err := bound(arguments, lacking); err != nil {
			fmt.Fprintln(os.Stderr, "bounded-runc:", err)
			os.Exit(1)
		}
	}
	err := syscall.Exec(runc, append([]string{"runc"}, arguments...), os.Environ())
	fmt.Fprintf(os.Stderr, "bounded-runc: cannot become %s: %v\n", runc, err)
	os.Exit(1)
}

func readStatus() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bounded-runc:", err)
		os.Exit(1)
	}
	return string(status)
}

// lackingIn names the capabilities that the process with this /proc status does not hold.
func lackingIn(status string) map[string]bool {
	lacking := map[string]bool{}
	for line := range strings.Lines(status) {
		hex, found := strings.CutPrefix(line, "CapEff:")
		if !found {
			continue
		}
		held, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			return nil
		}
		for number, name := range capabilities {
			if held>>number&1 == 0 {
				lacking["CAP_"+name] = true
			}
		}
	}
	return lacking
}

// bound edits the file in which this call to runc carries a process: the bundle's config, or exec's process file.
func bound(arguments []string, lacking map[string]bool) error {
	switch verb(arguments) {
	case "create", "run":
		bundle := option(arguments, "--bundle", "-b")
		return edit(filepath.Join(bundle, "config.json"), func(config object) {
			if process, ok := config["process"].(object); ok {
				strip(process, lacking)
			}
		})
	case "exec":
		if process := option(arguments, "--process", "-p"); process != "" {
			return edit(process, func(process object) { strip(process, lacking) })
		}
	}
	return nil
}

func verb(arguments []string) string {
	for _, word := range arguments {
		if word == "create" || word == "run" || word == "exec" {
			return word
		}
	}
	return ""
}

func option(arguments []string, names ...string) string {
	for i, word := range arguments {
		name, value, joined := strings.Cut(word, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if joined {
			return value
		}
		if i+1 < len(arguments) {
			return arguments[i+1]
		}
	}
	return ""
}

// strip takes from an OCI process the capabilities, and the lowered OOM score, that it could not be given anyway.
func strip(process object, lacking map[string]bool) {
	sets, _ := process["capabilities"].(object)
	for name, wanted := range sets {
		list, ok := wanted.([]any)
		if !ok {
			continue
		}
		sets[name] = slices.DeleteFunc(list, func(each any) bool {
			text, _ := each.(string)
			return lacking[text]
		})
	}
	score, ok := process["oomScoreAdj"].(json.Number)
	if ok && strings.HasPrefix(score.String(), "-") && lacking["CAP_SYS_RESOURCE"] {
		delete(process, "oomScoreAdj")
	}
}

func edit(path string, change func(object)) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document := object{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	change(document)
	if content, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
