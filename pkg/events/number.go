package events

import (
	"strconv"
	"strings"
)

// ParseDouble reads a JSON number as a double. The double of a fraction is the
// nearest one, as everywhere; same is false when the number is whole, or too
// large for a fraction, and a double would be another number.
func ParseDouble(text string) (f float64, same bool, err error) {
	const whole = 1 << 53 // from here on every double is a whole number
	if f, err = strconv.ParseFloat(text, 64); err != nil || f > -whole && f < whole {
		return f, err == nil, err
	}
	digits, point := decimal(text)
	kept, at := decimal(strconv.FormatFloat(f, 'e', -1, 64))
	return f, digits == kept && point == at, nil
}

// ParseWhole reads a JSON number whose value is a whole one of 64 bits, also when
// it is written 100.0 or 1e2.
func ParseWhole(text string) (int64, bool) {
	digits, point := decimal(text)
	const most = 19 // digits of a 64-bit integer
	switch {
	case digits == "":
		return 0, true
	case point < len(digits) || point > most:
		return 0, false
	}
	whole := digits + strings.Repeat("0", point-len(digits))
	if strings.HasPrefix(text, "-") {
		whole = "-" + whole
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

// decimal is a JSON number as digits, without zeros at both ends, of which so
// many stand before the point: it may be outside of them.
func decimal(text string) (digits string, point int) {
	const far = 1 << 30 // an exponent that is no int is out of every reach
	mantissa, exponent := strings.TrimPrefix(text, "-"), 0
	if at := strings.IndexAny(mantissa, "eE"); at >= 0 {
		n, err := strconv.Atoi(mantissa[at+1:])
		if err != nil {
			n = far
		}
		mantissa, exponent = mantissa[:at], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = whole + fraction
	short := strings.TrimLeft(digits, "0")
	point = len(whole) - (len(digits) - len(short)) + exponent
	if short = strings.TrimRight(short, "0"); short == "" {
		return "", 0
	}
	return short, point
}
