// Command dashboard reads a Grafana dashboard from standard input by the types that Grafana generates from its own
// schema (grafana-foundation-sdk), strictly: an unknown, a missing or a mistyped field is said, and is exit 1.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// known: only what our dashboard has: all of Grafana's plugins are four times the build.
func known() {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
}

// read returns how many panels and queries were understood. Two readings: the strict one of 0.0.22 says of each part
// an empty list of mistakes where there is none, takes that for one, and leaves the part out.
func read(text []byte) (panels, queries int, err error) {
	strict, all := dashboard.Dashboard{}, dashboard.Dashboard{}
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return 0, 0, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return 0, 0, err
	}
	if err := all.Validate(); err != nil {
		return 0, 0, err
	}
	if path := lost(text, all); path != "" {
		return 0, 0, fmt.Errorf("%s: unexpected field", strings.TrimPrefix(path, "."))
	}
	for number, one := range all.Panels {
		if one.Panel == nil {
			return 0, 0, fmt.Errorf("panels[%d]: a row, whose panels are not looked into here", number)
		}
		// Without its plugin's types a panel's options would be taken as they are.
		if _, found := cog.ConfigForPanelcfgVariant(one.Panel.Type); !found {
			return 0, 0, fmt.Errorf("panels[%d].type: %q is not known here", number, one.Panel.Type)
		}
		for target, query := range one.Panel.Targets {
			if _, ok := query.(*prometheus.Dataquery); !ok {
				return 0, 0, fmt.Errorf("panels[%d].targets[%d]: %T is not a query of Prometheus", number, target, query)
			}
			queries++
		}
	}
	return len(all.Panels), queries, nil
}

// lost is the path of something that was written and is not in what was understood: the strict reading does not look
// into the defaults of fields.
func lost(text []byte, all dashboard.Dashboard) string {
	var written, understood any
	again, err := json.Marshal(all)
	if err != nil || json.Unmarshal(again, &understood) != nil || json.Unmarshal(text, &written) != nil {
		return "the whole"
	}
	return missing("", written, understood)
}

func missing(path string, written, understood any) string {
	switch one := written.(type) {
	case map[string]any:
		other, _ := understood.(map[string]any)
		for key, value := range one {
			if found, ok := other[key]; !ok {
				return path + "." + key
			} else if path := missing(path+"."+key, value, found); path != "" {
				return path
			}
		}
	case []any:
		other, _ := understood.([]any)
		for number, value := range one {
			if number >= len(other) {
				return fmt.Sprintf("%s[%d]", path, number)
			} else if path := missing(fmt.Sprintf("%s[%d]", path, number), value, other[number]); path != "" {
				return path
			}
		}
	}
	return ""
}

func main() {
	known()
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	panels, queries, err := read(text)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%d panels, %d queries\n", panels, queries)
}
