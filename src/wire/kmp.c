/* SPDX-License-Identifier: BSD-3-Clause */
/* The codec of KMP: what each message may have is a row of message_rules[], how long an attribute
 * is a row of attribute_rules[]. */
#include "bulkhead/kmp.h"

#include "base/bytes.h"
#include "wire/network.h"

#define ATTRIBUTE_HEADER_SIZE 4
#define LIFETIME_SIZE         40
#define USAGE_SIZE            24
#define STATS_SIZE            (sizeof(struct kmp_stats))
#define PACKET_MAX            (KMP_MESSAGE_MAX - 256)

/* Sizes in bytes; granule: of one element of a list; 0: one of the two sizes. */
struct attribute_rule {
	uint16_t minimum, maximum, granule;
};

#define NUMBER(size)                                                                               \
	{                                                                                          \
		(size), (size), 1                                                                  \
	}
#define ADDRESS                                                                                    \
	{                                                                                          \
		4, 16, 0                                                                           \
	}

static const struct attribute_rule attribute_rules[KMP_ATTRIBUTE_COUNT] = {
	[KMP_ATTRIBUTE_NAME] = {1, KMP_NAME_MAX, 1},
	[KMP_ATTRIBUTE_NONCE] = NUMBER(KMP_NONCE_SIZE),
	[KMP_ATTRIBUTE_PROOF] = NUMBER(KMP_PROOF_SIZE),
	[KMP_ATTRIBUTE_RESUMES] = NUMBER(1),
	[KMP_ATTRIBUTE_SESSION] = NUMBER(4),
	[KMP_ATTRIBUTE_GRACE] = NUMBER(4),
	[KMP_ATTRIBUTE_EVENT] = NUMBER(4),
	[KMP_ATTRIBUTE_CODE] = NUMBER(2),
	[KMP_ATTRIBUTE_TEXT] = {0, KMP_TEXT_MAX, 1},
	[KMP_ATTRIBUTE_SPI] = NUMBER(4),
	[KMP_ATTRIBUTE_SOURCE] = ADDRESS,
	[KMP_ATTRIBUTE_DESTINATION] = ADDRESS,
	[KMP_ATTRIBUTE_DIRECTION] = NUMBER(1),
	[KMP_ATTRIBUTE_MODE] = NUMBER(1),
	[KMP_ATTRIBUTE_CIPHER] = NUMBER(2),
	[KMP_ATTRIBUTE_CIPHER_KEY] = {1, KMP_KEY_MAX, 1},
	[KMP_ATTRIBUTE_INTEGRITY] = NUMBER(2),
	[KMP_ATTRIBUTE_INTEGRITY_KEY] = {1, KMP_KEY_MAX, 1},
	[KMP_ATTRIBUTE_FLAGS] = NUMBER(4),
	[KMP_ATTRIBUTE_REPLAY_WINDOW] = NUMBER(2),
	[KMP_ATTRIBUTE_SOURCE_PORT] = NUMBER(2),
	[KMP_ATTRIBUTE_DESTINATION_PORT] = NUMBER(2),
	[KMP_ATTRIBUTE_REQUEST] = NUMBER(4),
	[KMP_ATTRIBUTE_LIFETIME] = NUMBER(LIFETIME_SIZE),
	[KMP_ATTRIBUTE_SELECTORS] = {KMP_SELECTOR_SIZE, KMP_SELECTORS_MAX *KMP_SELECTOR_SIZE,
		KMP_SELECTOR_SIZE},
	[KMP_ATTRIBUTE_NEW_SOURCE] = ADDRESS,
	[KMP_ATTRIBUTE_NEW_DESTINATION] = ADDRESS,
	[KMP_ATTRIBUTE_USAGE] = NUMBER(USAGE_SIZE),
	[KMP_ATTRIBUTE_ACTION] = NUMBER(1),
	[KMP_ATTRIBUTE_PRIORITY] = NUMBER(4),
	[KMP_ATTRIBUTE_IS_HARD] = NUMBER(1),
	[KMP_ATTRIBUTE_LOST] = NUMBER(4),
	[KMP_ATTRIBUTE_IS_ALL] = NUMBER(1),
	[KMP_ATTRIBUTE_AFTER] = NUMBER(4),
	[KMP_ATTRIBUTE_NEXT] = NUMBER(4),
	[KMP_ATTRIBUTE_SAS] = {0, KMP_SAS_MAX *KMP_SA_ENTRY_SIZE, KMP_SA_ENTRY_SIZE},
	[KMP_ATTRIBUTE_STATS] = NUMBER(STATS_SIZE),
	[KMP_ATTRIBUTE_PACKET] = {1, PACKET_MAX, 1},
	[KMP_ATTRIBUTE_DSCP] = NUMBER(1),
	[KMP_ATTRIBUTE_FORMAT] = NUMBER(4),
	[KMP_ATTRIBUTE_OWNER] = NUMBER(4),
	[KMP_ATTRIBUTE_VLAN] = NUMBER(2),
	[KMP_ATTRIBUTE_IS_UP] = NUMBER(1),
	[KMP_ATTRIBUTE_PAST] = NUMBER(KMP_PAST_SIZE),
	[KMP_ATTRIBUTE_CONNECTIONS] = {KMP_CONNECTION_SIZE,
		KMP_CONNECTIONS_MAX *KMP_CONNECTION_SIZE, KMP_CONNECTION_SIZE},
};

#define HAS(name) (1ULL << KMP_ATTRIBUTE_##name)
#define SA_NAME   (HAS(SPI) | HAS(DESTINATION))
#define PORTS     (HAS(SOURCE_PORT) | HAS(DESTINATION_PORT))
#define SA_REQUIRED                                                                                \
	(SA_NAME | HAS(SOURCE) | HAS(DIRECTION) | HAS(MODE) | HAS(CIPHER) | HAS(INTEGRITY)         \
		| HAS(FLAGS) | HAS(REQUEST))
#define SA_OPTIONAL                                                                                \
	(HAS(CIPHER_KEY) | HAS(INTEGRITY_KEY) | HAS(REPLAY_WINDOW) | PORTS | HAS(LIFETIME)         \
		| HAS(SELECTORS))
#define POLICY_REQUIRED (HAS(DIRECTION) | HAS(ACTION) | HAS(SELECTORS) | HAS(PRIORITY))
#define POLICY_OPTIONAL (HAS(MODE) | HAS(REQUEST) | HAS(SPI) | HAS(SOURCE) | HAS(DESTINATION))

static_assert(KMP_ATTRIBUTE_COUNT <= 64, "a set of attributes is one word");

struct message_rule {
	uint16_t type;
	const char *name;
	uint64_t required, optional;
};

static const struct message_rule message_rules[] = {
	{KMP_HELLO, "HELLO", HAS(NAME) | HAS(NONCE) | HAS(RESUMES), 0},
	{KMP_PROOF, "PROOF", HAS(PROOF), 0},
	{KMP_BYE, "BYE", 0, 0},
	{KMP_PING, "PING", 0, 0},
	{KMP_GET_SPI, "GET_SPI", HAS(DESTINATION), 0},
	{KMP_SA_ADD, "SA_ADD", SA_REQUIRED, SA_OPTIONAL},
	{KMP_SA_UPDATE, "SA_UPDATE", SA_NAME | HAS(NEW_SOURCE) | HAS(NEW_DESTINATION) | HAS(FLAGS),
		PORTS},
	{KMP_SA_DELETE, "SA_DELETE", SA_NAME, 0},
	{KMP_SA_QUERY, "SA_QUERY", SA_NAME, 0},
	{KMP_POLICY_ADD, "POLICY_ADD", POLICY_REQUIRED, POLICY_OPTIONAL},
	{KMP_POLICY_DELETE, "POLICY_DELETE", POLICY_REQUIRED, POLICY_OPTIONAL},
	{KMP_LIST, "LIST", HAS(IS_ALL) | HAS(AFTER), 0},
	{KMP_GET_STATS, "GET_STATS", 0, 0},
	{KMP_EVENT_ACK, "EVENT_ACK", 0, 0},
	{KMP_IKE_SEND, "IKE_SEND", HAS(SOURCE) | HAS(DESTINATION) | PORTS | HAS(PACKET), HAS(DSCP)},
	{KMP_HANDOVER_BEGIN, "HANDOVER_BEGIN", HAS(FORMAT), 0},
	{KMP_HANDOVER_VIPA, "HANDOVER_VIPA", HAS(NAME) | HAS(DESTINATION) | HAS(VLAN), 0},
	{KMP_HANDOVER_TARGET, "HANDOVER_TARGET", HAS(NAME) | HAS(IS_UP), HAS(DESTINATION)},
	{KMP_HANDOVER_SA, "HANDOVER_SA", SA_REQUIRED | HAS(OWNER) | HAS(PAST), SA_OPTIONAL},
	{KMP_HANDOVER_POLICY, "HANDOVER_POLICY", POLICY_REQUIRED | HAS(OWNER), POLICY_OPTIONAL},
	{KMP_HANDOVER_CONNECTIONS, "HANDOVER_CONNECTIONS", HAS(CONNECTIONS), 0},
	{KMP_HANDOVER_COMMIT, "HANDOVER_COMMIT", 0, 0},
	{KMP_CHALLENGE, "CHALLENGE", HAS(NONCE), 0},
	{KMP_WELCOME, "WELCOME", HAS(PROOF) | HAS(SESSION) | HAS(GRACE) | HAS(EVENT) | HAS(RESUMES),
		0},
	{KMP_RESULT, "RESULT", HAS(CODE) | HAS(TEXT), 0},
	{KMP_SPI, "SPI", HAS(SPI), 0},
	{KMP_USAGE, "USAGE", HAS(USAGE), 0},
	{KMP_SAS, "SAS", HAS(SAS) | HAS(NEXT), 0},
	{KMP_STATS, "STATS", HAS(STATS), 0},
	{KMP_SA_EXPIRE, "SA_EXPIRE", SA_NAME | HAS(IS_HARD), 0},
	{KMP_SA_ACQUIRE, "SA_ACQUIRE", HAS(REQUEST) | HAS(SELECTORS), 0},
	{KMP_MAPPING_CHANGED, "MAPPING_CHANGED", SA_NAME | HAS(SOURCE) | HAS(SOURCE_PORT), 0},
	{KMP_OVERRUN, "OVERRUN", HAS(LOST), 0},
	{KMP_IKE_RECEIVED, "IKE_RECEIVED", HAS(SOURCE) | HAS(DESTINATION) | PORTS | HAS(PACKET),
		HAS(DSCP)},
};

static const struct message_rule *find_rule(uint16_t type)
{
	for (size_t i = 0; i < sizeof(message_rules) / sizeof(message_rules[0]); i++)
		if (message_rules[i].type == type)
			return &message_rules[i];
	return NULL;
}

bool kmp_is_from_client(uint16_t type)
{
	return type < KMP_CHALLENGE;
}

bool kmp_is_event(uint16_t type)
{
	return type >= KMP_SA_EXPIRE && type <= KMP_OVERRUN;
}

const char *kmp_type_name(uint16_t type)
{
	const struct message_rule *rule = find_rule(type);

	return rule ? rule->name : "unknown";
}

const char *kmp_code_text(unsigned int code)
{
	static const char *const texts[KMP_CODE_COUNT] = {
		[KMP_OK] = "done",
		[KMP_MALFORMED] = "malformed message",
		[KMP_WRONG_VERSION] = "another version of the protocol",
		[KMP_UNKNOWN_TYPE] = "unknown message",
		[KMP_UNKNOWN_ATTRIBUTE] = "unknown attribute",
		[KMP_DUPLICATE_ATTRIBUTE] = "an attribute twice",
		[KMP_MISSING_ATTRIBUTE] = "an attribute is missing",
		[KMP_BAD_VALUE] = "a value out of its range",
		[KMP_WRONG_SEQUENCE] = "wrong sequence",
		[KMP_WRONG_STATE] = "not at this time",
		[KMP_DENIED] = "denied",
		[KMP_BUSY] = "too many attempts, try again later",
		[KMP_NOT_FOUND] = "not found",
		[KMP_EXISTS] = "there already",
		[KMP_NOT_SUPPORTED] = "not supported",
		[KMP_NO_ROOM] = "no room",
		[KMP_FAILED] = "failed",
	};

	return code < KMP_CODE_COUNT ? texts[code] : "an unknown error";
}

/* ---- reading ---- */

static enum kmp_code read_header(struct bytes *reader, struct kmp_message *out)
{
	uint32_t magic = bytes_read_u32(reader), length;
	uint8_t version = bytes_read_u8(reader), flags = bytes_read_u8(reader);

	out->type = bytes_read_u16(reader);
	length = bytes_read_u32(reader);
	out->sequence = bytes_read_u32(reader);
	out->acknowledgement = bytes_read_u32(reader);
	out->target = bytes_read_u32(reader);
	if (!bytes_is_ok(reader) || magic != KMP_MAGIC) {
		out->sequence = 0;
		return KMP_MALFORMED;
	}
	if (version != KMP_VERSION)
		return KMP_WRONG_VERSION;
	return flags == 0 && length == reader->size ? KMP_OK : KMP_MALFORMED;
}

static bool fits(const struct attribute_rule *rule, uint16_t size)
{
	if (rule->granule == 0)
		return size == rule->minimum || size == rule->maximum;
	return size >= rule->minimum && size <= rule->maximum && size % rule->granule == 0;
}

/* allowed is what the message may still have. */
static enum kmp_code read_attribute(
	struct bytes *reader, uint64_t allowed, uint64_t *seen, struct kmp_message *out)
{
	uint16_t type = bytes_read_u16(reader), size = bytes_read_u16(reader);
	const uint8_t *value = bytes_take(reader, size);
	uint16_t id = type & (uint16_t)~KMP_OPTIONAL;

	if (!value)
		return KMP_MALFORMED;
	if (id == 0 || id >= KMP_ATTRIBUTE_COUNT || !(allowed & 1ULL << id))
		return type & KMP_OPTIONAL ? KMP_OK : KMP_UNKNOWN_ATTRIBUTE;
	if (*seen & 1ULL << id)
		return KMP_DUPLICATE_ATTRIBUTE;
	if (!fits(&attribute_rules[id], size))
		return KMP_BAD_VALUE;
	*seen |= 1ULL << id;
	out->attributes[id].value = value;
	out->attributes[id].size = size;
	return KMP_OK;
}

enum kmp_code kmp_decode(const void *bytes, size_t size, struct kmp_message *out)
{
	struct bytes reader = bytes_from(bytes, size);
	const struct message_rule *rule;
	enum kmp_code code;
	uint64_t seen = 0;

	memset(out, 0, sizeof(*out));
	code = read_header(&reader, out);
	if (code != KMP_OK)
		return code;
	if (size > KMP_MESSAGE_MAX)
		return KMP_MALFORMED;
	rule = find_rule(out->type);
	if (!rule)
		return KMP_UNKNOWN_TYPE;
	while (code == KMP_OK && bytes_left(&reader) > 0)
		code = read_attribute(&reader, rule->required | rule->optional, &seen, out);
	if (code != KMP_OK)
		return code;
	return (seen & rule->required) == rule->required ? KMP_OK : KMP_MISSING_ATTRIBUTE;
}

uint64_t kmp_get_number(const struct kmp_message *message, enum kmp_attribute attribute)
{
	uint64_t value = 0;

	for (uint16_t i = 0; i < message->attributes[attribute].size; i++)
		value = value << 8 | message->attributes[attribute].value[i];
	return value;
}

struct kmp_address kmp_get_address(const struct kmp_message *message, enum kmp_attribute attribute)
{
	uint16_t size = message->attributes[attribute].size;
	struct kmp_address address = {.version = 0};

	if (size == 0)
		return address;
	address.version = size == 4 ? 4 : 6;
	memcpy(address.bytes, message->attributes[attribute].value, size);
	return address;
}

void kmp_get_text(
	const struct kmp_message *message, enum kmp_attribute attribute, char *out, size_t room)
{
	size_t size = message->attributes[attribute].size;

	if (size > room - 1)
		size = room - 1;
	if (size > 0)
		memcpy(out, message->attributes[attribute].value, size);
	out[size] = '\0';
}

static struct bytes reader_of(const struct kmp_message *message, enum kmp_attribute attribute)
{
	return bytes_from(
		message->attributes[attribute].value, message->attributes[attribute].size);
}

static bool has(const struct kmp_message *message, enum kmp_attribute attribute)
{
	return message->attributes[attribute].value != NULL;
}

/* Of 16 bytes; an IPv4 one has zeros behind it. */
static bool read_address(struct bytes *reader, uint8_t version, struct kmp_address *out)
{
	static const uint8_t zeros[12];
	const uint8_t *at = bytes_take(reader, 16);

	*out = (struct kmp_address){.version = version};
	if (!at || (version != 4 && version != 6)
		|| (version == 4 && memcmp(at + 4, zeros, sizeof(zeros)) != 0))
		return false;
	memcpy(out->bytes, at, 16);
	return true;
}

static bool read_selector(struct bytes *reader, struct kmp_selector *out)
{
	uint8_t version = bytes_read_u8(reader);

	out->protocol = bytes_read_u8(reader);
	out->source_port_first = bytes_read_u16(reader);
	out->source_port_last = bytes_read_u16(reader);
	out->destination_port_first = bytes_read_u16(reader);
	out->destination_port_last = bytes_read_u16(reader);
	if (!read_address(reader, version, &out->source_first)
		|| !read_address(reader, version, &out->source_last)
		|| !read_address(reader, version, &out->destination_first)
		|| !read_address(reader, version, &out->destination_last))
		return false;
	return memcmp(out->source_first.bytes, out->source_last.bytes, 16) <= 0
		&& memcmp(out->destination_first.bytes, out->destination_last.bytes, 16) <= 0
		&& out->source_port_first <= out->source_port_last
		&& out->destination_port_first <= out->destination_port_last;
}

enum kmp_code kmp_get_selectors(
	const struct kmp_message *message, struct kmp_selector *out, size_t max, uint16_t *count)
{
	struct bytes reader = reader_of(message, KMP_ATTRIBUTE_SELECTORS);

	*count = 0;
	while (bytes_left(&reader) > 0) {
		if (*count == max || !read_selector(&reader, &out[*count]))
			return KMP_BAD_VALUE;
		++*count;
	}
	return KMP_OK;
}

enum kmp_code kmp_get_name(const struct kmp_message *message, struct kmp_sa_name *out)
{
	out->spi = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_SPI);
	out->destination = kmp_get_address(message, KMP_ATTRIBUTE_DESTINATION);
	return out->spi >= KMP_SPI_MIN && out->destination.version != 0 ? KMP_OK : KMP_BAD_VALUE;
}

static struct kmp_lifetime get_lifetime(const struct kmp_message *message)
{
	struct bytes reader = reader_of(message, KMP_ATTRIBUTE_LIFETIME);
	struct kmp_lifetime lifetime = {.soft_s = 0};

	if (!has(message, KMP_ATTRIBUTE_LIFETIME))
		return lifetime;
	lifetime.soft_bytes = bytes_read_u64(&reader);
	lifetime.hard_bytes = bytes_read_u64(&reader);
	lifetime.soft_packets = bytes_read_u64(&reader);
	lifetime.hard_packets = bytes_read_u64(&reader);
	lifetime.soft_s = bytes_read_u32(&reader);
	lifetime.hard_s = bytes_read_u32(&reader);
	return lifetime;
}

static void get_key(const struct kmp_message *message, enum kmp_attribute attribute,
	const uint8_t **key, uint16_t *size)
{
	*key = message->attributes[attribute].value;
	*size = message->attributes[attribute].size;
}

/* Ports come with encapsulation, and only with it. */
static bool get_ports(
	const struct kmp_message *message, bool is_encapsulated, uint16_t *source, uint16_t *target)
{
	*source = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_SOURCE_PORT);
	*target = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_DESTINATION_PORT);
	return is_encapsulated ? *source != 0 && *target != 0
			       : !has(message, KMP_ATTRIBUTE_SOURCE_PORT)
			&& !has(message, KMP_ATTRIBUTE_DESTINATION_PORT);
}

enum kmp_code kmp_get_sa(const struct kmp_message *message, struct kmp_sa *out)
{
	uint64_t direction = kmp_get_number(message, KMP_ATTRIBUTE_DIRECTION);
	uint64_t mode = kmp_get_number(message, KMP_ATTRIBUTE_MODE);

	if (kmp_get_name(message, &out->name) != KMP_OK || direction > KMP_OUTBOUND
		|| mode > KMP_TRANSPORT)
		return KMP_BAD_VALUE;
	out->direction = (enum kmp_direction)direction;
	out->mode = (enum kmp_mode)mode;
	out->source = kmp_get_address(message, KMP_ATTRIBUTE_SOURCE);
	out->cipher = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_CIPHER);
	out->integrity = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_INTEGRITY);
	get_key(message, KMP_ATTRIBUTE_CIPHER_KEY, &out->cipher_key, &out->cipher_key_size);
	get_key(message, KMP_ATTRIBUTE_INTEGRITY_KEY, &out->integrity_key,
		&out->integrity_key_size);
	out->flags = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_FLAGS);
	out->replay_window = (uint16_t)kmp_get_number(message, KMP_ATTRIBUTE_REPLAY_WINDOW);
	out->request = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_REQUEST);
	out->lifetime = get_lifetime(message);
	if (out->source.version != out->name.destination.version
		|| out->flags & ~(uint32_t)KMP_SA_FLAGS
		|| !get_ports(message, out->flags & KMP_SA_ENCAPSULATION, &out->source_port,
			&out->destination_port))
		return KMP_BAD_VALUE;
	return kmp_get_selectors(message, out->selectors, KMP_SELECTORS_MAX, &out->selector_count);
}

enum kmp_code kmp_get_move(const struct kmp_message *message, struct kmp_move *out)
{
	uint64_t flags = kmp_get_number(message, KMP_ATTRIBUTE_FLAGS);

	if (kmp_get_name(message, &out->name) != KMP_OK || flags & ~(uint64_t)KMP_SA_ENCAPSULATION)
		return KMP_BAD_VALUE;
	out->new_source = kmp_get_address(message, KMP_ATTRIBUTE_NEW_SOURCE);
	out->new_destination = kmp_get_address(message, KMP_ATTRIBUTE_NEW_DESTINATION);
	out->has_encapsulation = flags & KMP_SA_ENCAPSULATION;
	return out->new_source.version != 0
			&& out->new_source.version == out->new_destination.version
			&& get_ports(message, out->has_encapsulation, &out->source_port,
				&out->destination_port)
		? KMP_OK
		: KMP_BAD_VALUE;
}

/* What only PROTECT has is not there with the other two. */
static bool get_protection(const struct kmp_message *message, struct kmp_policy *out)
{
	uint64_t mode = kmp_get_number(message, KMP_ATTRIBUTE_MODE);

	out->mode = (enum kmp_mode)mode;
	out->request = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_REQUEST);
	out->spi = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_SPI);
	out->source = kmp_get_address(message, KMP_ATTRIBUTE_SOURCE);
	out->destination = kmp_get_address(message, KMP_ATTRIBUTE_DESTINATION);
	if (out->action != KMP_PROTECT)
		return !has(message, KMP_ATTRIBUTE_MODE) && !has(message, KMP_ATTRIBUTE_REQUEST)
			&& !has(message, KMP_ATTRIBUTE_SPI) && !has(message, KMP_ATTRIBUTE_SOURCE)
			&& !has(message, KMP_ATTRIBUTE_DESTINATION);
	return has(message, KMP_ATTRIBUTE_MODE) && has(message, KMP_ATTRIBUTE_REQUEST)
		&& mode <= KMP_TRANSPORT && (out->spi == 0 || out->spi >= KMP_SPI_MIN)
		&& out->source.version == out->destination.version;
}

enum kmp_code kmp_get_policy(const struct kmp_message *message, struct kmp_policy *out)
{
	uint64_t direction = kmp_get_number(message, KMP_ATTRIBUTE_DIRECTION);
	uint64_t action = kmp_get_number(message, KMP_ATTRIBUTE_ACTION);
	uint16_t count;

	if (direction > KMP_POLICY_OUTBOUND || action > KMP_PROTECT)
		return KMP_BAD_VALUE;
	out->direction = (enum kmp_policy_direction)direction;
	out->action = (enum kmp_action)action;
	out->priority = (uint32_t)kmp_get_number(message, KMP_ATTRIBUTE_PRIORITY);
	if (!get_protection(message, out)
		|| kmp_get_selectors(message, &out->selector, 1, &count) != KMP_OK || count != 1)
		return KMP_BAD_VALUE;
	return KMP_OK;
}

enum kmp_code kmp_get_usage(const struct kmp_message *message, struct kmp_usage *out)
{
	struct bytes reader = reader_of(message, KMP_ATTRIBUTE_USAGE);

	out->bytes = bytes_read_u64(&reader);
	out->packets = bytes_read_u64(&reader);
	out->idle_s = bytes_read_u64(&reader);
	return KMP_OK;
}

static bool read_entry(struct bytes *reader, struct kmp_sa_entry *out)
{
	uint8_t direction, mode, version;

	out->name.spi = bytes_read_u32(reader);
	out->request = bytes_read_u32(reader);
	out->owner = bytes_read_u32(reader);
	direction = bytes_read_u8(reader);
	mode = bytes_read_u8(reader);
	out->flags = bytes_read_u16(reader);
	out->source_port = bytes_read_u16(reader);
	out->destination_port = bytes_read_u16(reader);
	version = bytes_read_u8(reader);
	bytes_skip(reader, 3);
	out->direction = (enum kmp_direction)direction;
	out->mode = (enum kmp_mode)mode;
	return read_address(reader, version, &out->source)
		&& read_address(reader, version, &out->name.destination)
		&& direction <= KMP_OUTBOUND && mode <= KMP_TRANSPORT;
}

enum kmp_code kmp_get_entries(
	const struct kmp_message *message, struct kmp_sa_entry *out, size_t *count)
{
	struct bytes reader = reader_of(message, KMP_ATTRIBUTE_SAS);

	for (*count = 0; bytes_left(&reader) > 0; ++*count)
		if (*count == KMP_SAS_MAX || !read_entry(&reader, &out[*count]))
			return KMP_BAD_VALUE;
	return KMP_OK;
}

enum kmp_code kmp_get_stats(const struct kmp_message *message, struct kmp_stats *out)
{
	struct bytes reader = reader_of(message, KMP_ATTRIBUTE_STATS);
	uint64_t *values = &out->sessions;

	for (size_t i = 0; i < STATS_SIZE / sizeof(uint64_t); i++)
		values[i] = bytes_read_u64(&reader);
	return KMP_OK;
}

/* ---- writing ---- */

static void store(uint8_t *at, size_t size, uint64_t value)
{
	while (size-- > 0) {
		at[size] = (uint8_t)value;
		value >>= 8;
	}
}

/* Room for size bytes more; NULL: there is none. */
static uint8_t *reserve(struct kmp_writer *writer, size_t size)
{
	if (writer->has_failed || size > writer->room - writer->size) {
		writer->has_failed = true;
		return NULL;
	}
	writer->size += size;
	return writer->out + writer->size - size;
}

void kmp_begin(struct kmp_writer *writer, void *out, size_t room, enum kmp_type type,
	uint32_t sequence, uint32_t acknowledgement)
{
	uint8_t *at;

	*writer = (struct kmp_writer){.out = out, .room = room};
	at = reserve(writer, KMP_HEADER_SIZE);
	if (!at)
		return;
	memset(at, 0, KMP_HEADER_SIZE);
	network_store32(at, KMP_MAGIC);
	at[4] = KMP_VERSION;
	network_store16(at + 6, (uint16_t)type);
	network_store32(at + 12, sequence);
	network_store32(at + 16, acknowledgement);
}

size_t kmp_end(struct kmp_writer *writer)
{
	if (writer->has_failed || writer->size > KMP_MESSAGE_MAX)
		return 0;
	network_store32(writer->out + 8, (uint32_t)writer->size);
	return writer->size;
}

/* Where the value goes; NULL: no room. */
static uint8_t *begin_attribute(
	struct kmp_writer *writer, enum kmp_attribute attribute, size_t size)
{
	uint8_t *at = reserve(writer, ATTRIBUTE_HEADER_SIZE + size);

	if (!at)
		return NULL;
	network_store16(at, (uint16_t)attribute);
	network_store16(at + 2, (uint16_t)size);
	return at + ATTRIBUTE_HEADER_SIZE;
}

void kmp_put(
	struct kmp_writer *writer, enum kmp_attribute attribute, const void *value, size_t size)
{
	uint8_t *at = begin_attribute(writer, attribute, size);

	if (at && size > 0)
		memcpy(at, value, size);
}

void kmp_put_number(
	struct kmp_writer *writer, enum kmp_attribute attribute, size_t size, uint64_t value)
{
	uint8_t *at = begin_attribute(writer, attribute, size);

	if (at)
		store(at, size, value);
}

void kmp_put_address(
	struct kmp_writer *writer, enum kmp_attribute attribute, const struct kmp_address *address)
{
	kmp_put(writer, attribute, address->bytes, address->version == 4 ? 4 : 16);
}

void kmp_put_name(struct kmp_writer *writer, const struct kmp_sa_name *name)
{
	kmp_put_number(writer, KMP_ATTRIBUTE_SPI, 4, name->spi);
	kmp_put_address(writer, KMP_ATTRIBUTE_DESTINATION, &name->destination);
}

static void write_selector(uint8_t *at, const struct kmp_selector *selector)
{
	at[0] = selector->source_first.version;
	at[1] = selector->protocol;
	network_store16(at + 2, selector->source_port_first);
	network_store16(at + 4, selector->source_port_last);
	network_store16(at + 6, selector->destination_port_first);
	network_store16(at + 8, selector->destination_port_last);
	memcpy(at + 10, selector->source_first.bytes, 16);
	memcpy(at + 26, selector->source_last.bytes, 16);
	memcpy(at + 42, selector->destination_first.bytes, 16);
	memcpy(at + 58, selector->destination_last.bytes, 16);
}

void kmp_put_selectors(
	struct kmp_writer *writer, const struct kmp_selector *selectors, size_t count)
{
	uint8_t *at = begin_attribute(writer, KMP_ATTRIBUTE_SELECTORS, count * KMP_SELECTOR_SIZE);

	for (size_t i = 0; at && i < count; i++)
		write_selector(at + i * KMP_SELECTOR_SIZE, &selectors[i]);
}

static void put_lifetime(struct kmp_writer *writer, const struct kmp_lifetime *lifetime)
{
	uint8_t *at = begin_attribute(writer, KMP_ATTRIBUTE_LIFETIME, LIFETIME_SIZE);

	if (!at)
		return;
	store(at, 8, lifetime->soft_bytes);
	store(at + 8, 8, lifetime->hard_bytes);
	store(at + 16, 8, lifetime->soft_packets);
	store(at + 24, 8, lifetime->hard_packets);
	store(at + 32, 4, lifetime->soft_s);
	store(at + 36, 4, lifetime->hard_s);
}

static void put_ports(struct kmp_writer *writer, uint16_t source, uint16_t destination)
{
	kmp_put_number(writer, KMP_ATTRIBUTE_SOURCE_PORT, 2, source);
	kmp_put_number(writer, KMP_ATTRIBUTE_DESTINATION_PORT, 2, destination);
}

void kmp_put_sa(struct kmp_writer *writer, const struct kmp_sa *sa)
{
	kmp_put_name(writer, &sa->name);
	kmp_put_address(writer, KMP_ATTRIBUTE_SOURCE, &sa->source);
	kmp_put_number(writer, KMP_ATTRIBUTE_DIRECTION, 1, sa->direction);
	kmp_put_number(writer, KMP_ATTRIBUTE_MODE, 1, sa->mode);
	kmp_put_number(writer, KMP_ATTRIBUTE_CIPHER, 2, sa->cipher);
	kmp_put_number(writer, KMP_ATTRIBUTE_INTEGRITY, 2, sa->integrity);
	if (sa->cipher_key_size > 0)
		kmp_put(writer, KMP_ATTRIBUTE_CIPHER_KEY, sa->cipher_key, sa->cipher_key_size);
	if (sa->integrity_key_size > 0)
		kmp_put(writer, KMP_ATTRIBUTE_INTEGRITY_KEY, sa->integrity_key,
			sa->integrity_key_size);
	kmp_put_number(writer, KMP_ATTRIBUTE_FLAGS, 4, sa->flags);
	kmp_put_number(writer, KMP_ATTRIBUTE_REPLAY_WINDOW, 2, sa->replay_window);
	if (sa->flags & KMP_SA_ENCAPSULATION)
		put_ports(writer, sa->source_port, sa->destination_port);
	kmp_put_number(writer, KMP_ATTRIBUTE_REQUEST, 4, sa->request);
	put_lifetime(writer, &sa->lifetime);
	if (sa->selector_count > 0)
		kmp_put_selectors(writer, sa->selectors, sa->selector_count);
}

void kmp_put_move(struct kmp_writer *writer, const struct kmp_move *move)
{
	kmp_put_name(writer, &move->name);
	kmp_put_address(writer, KMP_ATTRIBUTE_NEW_SOURCE, &move->new_source);
	kmp_put_address(writer, KMP_ATTRIBUTE_NEW_DESTINATION, &move->new_destination);
	kmp_put_number(
		writer, KMP_ATTRIBUTE_FLAGS, 4, move->has_encapsulation ? KMP_SA_ENCAPSULATION : 0);
	if (move->has_encapsulation)
		put_ports(writer, move->source_port, move->destination_port);
}

void kmp_put_policy(struct kmp_writer *writer, const struct kmp_policy *policy)
{
	kmp_put_number(writer, KMP_ATTRIBUTE_DIRECTION, 1, policy->direction);
	kmp_put_number(writer, KMP_ATTRIBUTE_ACTION, 1, policy->action);
	kmp_put_selectors(writer, &policy->selector, 1);
	kmp_put_number(writer, KMP_ATTRIBUTE_PRIORITY, 4, policy->priority);
	if (policy->action != KMP_PROTECT)
		return;
	kmp_put_number(writer, KMP_ATTRIBUTE_MODE, 1, policy->mode);
	kmp_put_number(writer, KMP_ATTRIBUTE_REQUEST, 4, policy->request);
	kmp_put_number(writer, KMP_ATTRIBUTE_SPI, 4, policy->spi);
	if (policy->source.version == 0)
		return;
	kmp_put_address(writer, KMP_ATTRIBUTE_SOURCE, &policy->source);
	kmp_put_address(writer, KMP_ATTRIBUTE_DESTINATION, &policy->destination);
}

void kmp_put_usage(struct kmp_writer *writer, const struct kmp_usage *usage)
{
	uint8_t *at = begin_attribute(writer, KMP_ATTRIBUTE_USAGE, USAGE_SIZE);

	if (!at)
		return;
	store(at, 8, usage->bytes);
	store(at + 8, 8, usage->packets);
	store(at + 16, 8, usage->idle_s);
}

static void write_entry(uint8_t *at, const struct kmp_sa_entry *entry)
{
	store(at, 4, entry->name.spi);
	store(at + 4, 4, entry->request);
	store(at + 8, 4, entry->owner);
	at[12] = (uint8_t)entry->direction;
	at[13] = (uint8_t)entry->mode;
	network_store16(at + 14, entry->flags);
	network_store16(at + 16, entry->source_port);
	network_store16(at + 18, entry->destination_port);
	store(at + 20, 4, (uint64_t)entry->source.version << 24);
	memcpy(at + 24, entry->source.bytes, 16);
	memcpy(at + 40, entry->name.destination.bytes, 16);
}

void kmp_put_entries(struct kmp_writer *writer, const struct kmp_sa_entry *entries, size_t count)
{
	uint8_t *at = begin_attribute(writer, KMP_ATTRIBUTE_SAS, count * KMP_SA_ENTRY_SIZE);

	for (size_t i = 0; at && i < count; i++)
		write_entry(at + i * KMP_SA_ENTRY_SIZE, &entries[i]);
}

void kmp_put_stats(struct kmp_writer *writer, const struct kmp_stats *stats)
{
	uint8_t *at = begin_attribute(writer, KMP_ATTRIBUTE_STATS, STATS_SIZE);
	const uint64_t *values = &stats->sessions;

	for (size_t i = 0; at && i < STATS_SIZE / sizeof(uint64_t); i++)
		store(at + i * sizeof(uint64_t), sizeof(uint64_t), values[i]);
}
