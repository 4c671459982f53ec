/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/ipsec_config.h"

#include "base/clock.h"
#include "base/hex.h"
#include "packet/ipsec/sa_crypto.h"
#include "schema/json.h"
#include "wire/esp.h"
#include "wire/ip_protocol.h"
#include "wire/network.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MS_PER_S 1000

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool is_set(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* ---- addresses ---- */

static void widen(struct ip_address *last, uint32_t prefix)
{
	uint32_t bits = last->version == 4 ? 32 : 128;

	for (uint32_t bit = prefix; bit < bits; bit++)
		last->bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

/* An address, or a prefix, as a range. text NULL: all of the version. */
static int read_range(
	const char *text, uint8_t version, struct ip_address *first, struct ip_address *last)
{
	uint8_t prefix = 0;

	*first = (struct ip_address){.version = version};
	if (text && !ip_address_parse_prefix(text, first, &prefix))
		return -EINVAL;
	*last = *first;
	widen(last, prefix);
	return 0;
}

static uint8_t version_of(const char *text)
{
	return !text ? 0 : strchr(text, ':') ? 6 : 4;
}

/* ---- SAs ---- */

static int read_algorithms(
	const json_t *row, struct sa_parameters *out, const char *name, struct error *error)
{
	if (sa_cipher_find(text_of(row, "cipher"), &out->cipher) < 0
		|| sa_integrity_find(text_of(row, "integrity"), &out->integrity) < 0)
		return error_set(error, -EINVAL, "ipsec.sas.%s: no such cipher or integrity", name);
	return 0;
}

static void read_lifetime(const json_t *row, struct sa_lifetime *out)
{
	out->hard_packets = number_of(row, "hard-packets");
	out->hard_bytes = number_of(row, "hard-bytes");
	out->hard_s = (uint32_t)(number_of(row, "hard-time") / MS_PER_S);
}

static int read_sa(const char *name, const json_t *row, const struct ipsec_config *config,
	struct ipsec_static_sa *out, struct error *error)
{
	struct sa_parameters *parameters = &out->parameters;
	const json_t *window = json_object_get(row, "replay-window");

	snprintf(out->name, sizeof(out->name), "%s", name);
	*parameters = (struct sa_parameters){.name.spi = (uint32_t)number_of(row, "spi"),
		.direction =
			strcmp(text_of(row, "direction"), "out") == 0 ? SA_OUTBOUND : SA_INBOUND,
		.mode = strcmp(text_of(row, "mode"), "transport") == 0 ? SA_TRANSPORT : SA_TUNNEL,
		.has_esn = is_set(row, "esn"),
		.replay_window =
			window ? (uint16_t)json_integer_value(window) : config->replay_window,
		.source_port = (uint16_t)number_of(row, "source-port"),
		.destination_port = (uint16_t)number_of(row, "destination-port"),
		.copies_df = is_set(row, "copy-df"),
		.copies_ecn = is_set(row, "copy-ecn"),
		.copies_dscp = is_set(row, "copy-dscp"),
		.request = (uint32_t)number_of(row, "request"),
		.owner = SA_OWNER_CONFIGURATION};
	parameters->has_encapsulation = parameters->source_port || parameters->destination_port;
	read_lifetime(row, &parameters->lifetime);
	if (!ip_address_parse(text_of(row, "source"), &parameters->source)
		|| !ip_address_parse(text_of(row, "destination"), &parameters->name.destination))
		return error_set(error, -EINVAL,
			"ipsec.sas.%s: source and destination have to be addresses", name);
	return read_algorithms(row, parameters, name, error);
}

static int read_sas(const json_t *section, struct ipsec_config *config, struct error *error)
{
	json_t *rows = json_object_get(section, "sas"), *row;
	const char *name;

	if (json_object_size(rows) == 0)
		return 0;
	if (json_object_size(rows) > config->sas_max)
		return error_set(error, -E2BIG, "ipsec.sas: more than ipsec.sas-max");
	config->sas = calloc(json_object_size(rows), sizeof(*config->sas));
	config->keys = secret_create(json_object_size(rows) * SA_KEY_SIZE_MAX);
	if (!config->sas || !config->keys)
		return error_set(error, -ENOMEM, "ipsec.sas: no memory");
	json_object_foreach (rows, name, row) {
		struct ipsec_static_sa *sa = &config->sas[config->sa_count];

		if (read_sa(name, row, config, sa, error) < 0)
			return -EINVAL;
		sa->parameters.cipher_key =
			(uint8_t *)secret_bytes(config->keys) + config->sa_count * SA_KEY_SIZE_MAX;
		config->sa_count++;
	}
	return 0;
}

/* ---- policies ---- */

static void set_ports(uint64_t port, uint16_t *first, uint16_t *last)
{
	*first = (uint16_t)port;
	*last = port ? (uint16_t)port : UINT16_MAX;
}

static struct sa_selector turned_round(const struct sa_selector *of)
{
	return (struct sa_selector){.source_first = of->destination_first,
		.source_last = of->destination_last,
		.destination_first = of->source_first,
		.destination_last = of->source_last,
		.protocol = of->protocol,
		.source_port_first = of->destination_port_first,
		.source_port_last = of->destination_port_last,
		.destination_port_first = of->source_port_first,
		.destination_port_last = of->source_port_last};
}

/* Both directions of one version. */
static int add_policy(struct ipsec_config *config, const char *name, const json_t *row,
	uint8_t version, struct error *error)
{
	struct policy_parameters *out = &config->policies[config->policy_count], *in = out + 1;
	struct sa_selector *selector = &out->selector;
	const char *action = text_of(row, "action");

	*out = (struct policy_parameters){.direction = POLICY_OUTBOUND,
		.action = strcmp(action, "protect") == 0 ? POLICY_PROTECT
			: strcmp(action, "bypass") == 0  ? POLICY_BYPASS
							 : POLICY_DISCARD,
		.priority = (uint32_t)number_of(row, "priority"),
		.mode = strcmp(text_of(row, "mode"), "transport") == 0 ? SA_TRANSPORT : SA_TUNNEL,
		.request = (uint32_t)number_of(row, "request"),
		.owner = SA_OWNER_CONFIGURATION};
	selector->protocol = ip_protocol_of(text_of(row, "protocol"));
	set_ports(number_of(row, "local-port"), &selector->source_port_first,
		&selector->source_port_last);
	set_ports(number_of(row, "remote-port"), &selector->destination_port_first,
		&selector->destination_port_last);
	if (read_range(
		    text_of(row, "local"), version, &selector->source_first, &selector->source_last)
			< 0
		|| read_range(text_of(row, "remote"), version, &selector->destination_first,
			   &selector->destination_last)
			< 0)
		return error_set(error, -EINVAL,
			"ipsec.policies.%s: local and remote have to be addresses or prefixes",
			name);
	*in = *out;
	in->direction = POLICY_INBOUND;
	in->selector = turned_round(selector);
	config->policy_count += 2;
	return 0;
}

static int read_policies(const json_t *section, struct ipsec_config *config, struct error *error)
{
	json_t *rows = json_object_get(section, "policies"), *row;
	const char *name;
	int status = 0;

	if (json_object_size(rows) == 0)
		return 0;
	/* Two directions, and two versions where no address says which. */
	config->policies = calloc(4 * json_object_size(rows), sizeof(*config->policies));
	if (!config->policies)
		return error_set(error, -ENOMEM, "ipsec.policies: no memory");
	json_object_foreach (rows, name, row) {
		uint8_t version = version_of(text_of(row, "local"));

		if (!version)
			version = version_of(text_of(row, "remote"));
		if (version != 6)
			status = add_policy(config, name, row, 4, error);
		if (status == 0 && version != 4)
			status = add_policy(config, name, row, 6, error);
		if (status < 0)
			return status;
	}
	return 0;
}

int ipsec_config_read(const json_t *document, struct ipsec_config **out, struct error *error)
{
	const json_t *section = json_object_get(document, "ipsec");
	struct ipsec_config *config;
	int status;

	*out = NULL;
	if (!section)
		return 0;
	config = calloc(1, sizeof(*config));
	if (!config)
		return error_set(error, -ENOMEM, "ipsec: no memory");
	config->sas_max = (uint32_t)number_of(section, "sas-max");
	config->bypasses = strcmp(text_of(section, "unmatched"), "bypass") == 0;
	config->replay_window = (uint16_t)number_of(section, "replay-window");
	config->key_file = text_of(section, "key-file");
	config->physical = text_of(json_object_get(document, "gateway"), "physical");
	status = read_sas(section, config, error);
	if (status == 0)
		status = read_policies(section, config, error);
	if (status < 0) {
		ipsec_config_destroy(config);
		return status;
	}
	*out = config;
	return 0;
}

void ipsec_config_destroy(struct ipsec_config *config)
{
	if (!config)
		return;
	secret_destroy(config->keys);
	free(config->sas);
	free(config->policies);
	free(config);
}

/* ---- keys ---- */

struct text {
	const char *at, *end; /* of a line */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; empty: none. */
static struct text next_word(struct text *line)
{
	struct text word;

	while (line->at < line->end && is_blank(*line->at))
		line->at++;
	word.at = line->at;
	while (line->at < line->end && !is_blank(*line->at))
		line->at++;
	word.end = line->at;
	return word;
}

/* Bytes written; -EINVAL. */
static int read_hex(struct text word, uint8_t *out, size_t room)
{
	size_t size = (size_t)(word.end - word.at);

	if (size == 1 && *word.at == '-')
		return 0;
	if (size % 2 || size / 2 > room)
		return -EINVAL;
	for (size_t i = 0; i < size / 2; i++) {
		int high = hex_value(word.at[2 * i]), low = hex_value(word.at[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (int)(size / 2);
}

static struct ipsec_static_sa *find_static(struct ipsec_config *config, struct text name)
{
	size_t size = (size_t)(name.end - name.at);

	for (size_t i = 0; i < config->sa_count; i++)
		if (strlen(config->sas[i].name) == size
			&& memcmp(config->sas[i].name, name.at, size) == 0)
			return &config->sas[i];
	return NULL;
}

/* Lines of other SAs are no error: the file may serve several hosts. */
static int read_key_line(struct ipsec_config *config, struct text line)
{
	struct text name = next_word(&line);
	struct ipsec_static_sa *sa = find_static(config, name);
	struct text cipher_word = next_word(&line), integrity_word = next_word(&line);
	struct sa_parameters *parameters;
	int cipher_size, integrity_size;
	uint8_t *key;

	if (name.at == name.end || !sa)
		return 0;
	parameters = &sa->parameters;
	key = (uint8_t *)secret_bytes(config->keys) + (size_t)(sa - config->sas) * SA_KEY_SIZE_MAX;
	cipher_size = read_hex(cipher_word, key, SA_KEY_SIZE_MAX);
	if (cipher_size < 0 || next_word(&line).at != line.end || cipher_word.at == cipher_word.end
		|| sa->has_keys)
		return -EINVAL;
	integrity_size =
		read_hex(integrity_word, key + cipher_size, SA_KEY_SIZE_MAX - (size_t)cipher_size);
	if (integrity_size < 0)
		return -EINVAL;
	parameters->cipher_key_size = (uint16_t)cipher_size;
	parameters->integrity_key = key + cipher_size;
	parameters->integrity_key_size = (uint16_t)integrity_size;
	sa->has_keys = true;
	return 0;
}

/* Of the key that encrypts, or else the one that authenticates. */
static size_t first_key_size(const struct ipsec_static_sa *sa)
{
	return sa->parameters.cipher_key_size ? sa->parameters.cipher_key_size
					      : sa->parameters.integrity_key_size;
}

/* An integrity's key lies behind the cipher's, so that the first one is at its place. */
static int compare_first_keys(const void *a, const void *b)
{
	const struct ipsec_static_sa *first = *(const struct ipsec_static_sa *const *)a;
	const struct ipsec_static_sa *second = *(const struct ipsec_static_sa *const *)b;
	size_t size = first_key_size(first), second_size = first_key_size(second);

	if (size != second_size)
		return size < second_size ? -1 : 1;
	return memcmp(first->parameters.cipher_key, second->parameters.cipher_key, size);
}

static int check_keys_differ(const struct ipsec_config *config, struct error *error)
{
	const struct ipsec_static_sa **sorted = calloc(config->sa_count + 1, sizeof(void *));
	int status = 0;

	if (!sorted)
		return error_set(error, -ENOMEM, "no memory");
	for (size_t i = 0; i < config->sa_count; i++)
		sorted[i] = &config->sas[i];
	qsort(sorted, config->sa_count, sizeof(void *), compare_first_keys);
	for (size_t i = 1; status == 0 && i < config->sa_count; i++)
		if (first_key_size(sorted[i]) > 0
			&& compare_first_keys(&sorted[i - 1], &sorted[i]) == 0)
			status = error_set(error, -EINVAL,
				"the SAs %s and %s have the same key; each needs one of its own",
				sorted[i - 1]->name, sorted[i]->name);
	free(sorted);
	return status;
}

int ipsec_config_check_clock(int fd, struct error *error)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return error_set(error, -errno, "%s", strerror(errno));
	if ((uint64_t)info.st_mtim.tv_sec * CLOCK_NS_PER_S + (uint64_t)info.st_mtim.tv_nsec
		<= clock_wall_ns())
		return 0;
	return error_set(error, -ESTALE,
		"the clock is earlier than the file's last change, and a clock that is set back "
		"lets IVs come again; set it, or put new keys into the file if it was wrong then");
}

int ipsec_config_read_keys(
	struct ipsec_config *config, const char *text, size_t size, struct error *error)
{
	const char *at = text, *text_end = text + size;

	for (int number = 1; at < text_end; number++) {
		const char *next = memchr(at, '\n', (size_t)(text_end - at));
		struct text line = {at, next ? next : text_end};
		const char *comment = memchr(at, '#', (size_t)(line.end - at));

		if (comment)
			line.end = comment;
		if (read_key_line(config, line) < 0)
			return error_set(error, -EINVAL,
				"line %d: no key of an SA, or the second one; a line is the SA's "
				"name, its cipher's key and its integrity's key in hexadecimal "
				"digits",
				number);
		at = next ? next + 1 : text_end;
	}
	for (size_t i = 0; i < config->sa_count; i++)
		if (!config->sas[i].has_keys)
			return error_set(error, -EINVAL, "there is no key of the SA %s",
				config->sas[i].name);
	return check_keys_differ(config, error);
}
