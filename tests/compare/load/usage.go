package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// The unit of processor time in /proc, on every Linux of today.
const tick = 10 * time.Millisecond

// The processor time that these processes have taken, in the program and in the system.
func processorTime(processes []string) time.Duration {
	var sum time.Duration
	for _, process := range processes {
		stat, err := os.ReadFile("/proc/" + process + "/stat")
		if err != nil {
			continue
		}
		// The second field is a name in brackets with anything in it.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, _ := strconv.ParseInt(field, 10, 64)
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// The most memory that any of these processes ever had, in bytes.
func peakMemory(processes []string) int64 {
	var most int64
	for _, process := range processes {
		status, err := os.ReadFile("/proc/" + process + "/status")
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(status), "\n") {
			if rest := strings.TrimPrefix(line, "VmHWM:"); rest != line {
				kibibytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if kibibytes<<10 > most {
					most = kibibytes << 10
				}
			}
		}
	}
	return most
}
