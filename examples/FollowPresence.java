import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/**
 * Claims a free person of a group, then says at every moment who of the group is free, until it is ended.
 *
 * <pre>PWS_URL=http://127.0.0.1:8000 java -cp "$JACKSON" examples/FollowPresence.java support "ticket 4711"</pre>
 *
 * PWS_KEY is an API key with the scope `claim`, where one is needed. The JDK's HTTP client, and Jackson for JSON.
 */
public final class FollowPresence {
    private static final String URL = System.getenv().getOrDefault("PWS_URL", "http://127.0.0.1:8000");
    private static final String KEY = System.getenv("PWS_KEY");
    private static final int WAIT = 30; // seconds that one request waits in line; then comes the next
    private static final int SILENCE = 31_000; // ms without a byte after which nothing is sure: twice stream.keep_alive
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, JsonNode> contacts = new TreeMap<>();
    private String lastId; // of the last whole event
    private long retry = 1000; // ms after which to come back
    private String said;

    public static void main(String[] words) throws Exception {
        String claim = claim(words[0], words[1]);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> release(claim))); // Ctrl-C, or SIGTERM
        new FollowPresence().follow(words[0]);
    }

    /** Follows the group's events, for ever: where the connection breaks it comes back, and goes on where it was. */
    private void follow(String group) throws InterruptedException {
        while (true) {
            try {
                listen(group);
            } catch (IOException gone) { // no service there, a broken connection, or silence
                say("not sure");
            }
            Thread.sleep(retry);
        }
    }

    private void listen(String group) throws IOException, InterruptedException {
        HttpURLConnection connection = connect("GET", "/v1/events?group=" + URLEncoder.encode(group, StandardCharsets.UTF_8));
        connection.setReadTimeout(SILENCE);
        if (lastId != null) {
            connection.setRequestProperty("Last-Event-ID", lastId);
        }
        checked(connection);
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8))) {
            String event = null, id = null, data = null;
            for (String line; (line = lines.readLine()) != null; ) {
                String[] field = line.split(": ", 2);
                if (line.startsWith(":")) { // : keep-alive, so that nothing was missed
                    say(whoIsFree());
                } else if (line.isEmpty() && data != null) { // an event is whole with the empty line behind it
                    take(event, JSON.readTree(data));
                    lastId = id;
                    data = null;
                    say(whoIsFree());
                } else if (field[0].equals("retry")) {
                    retry = Long.parseLong(field[1]);
                } else if (field[0].equals("event")) {
                    event = field[1];
                } else if (field[0].equals("id")) {
                    id = field[1];
                } else if (field[0].equals("data")) {
                    data = field[1];
                }
            }
        }
        throw new IOException("the service has ended the stream");
    }

    private void take(String event, JsonNode data) {
        switch (event) {
            case "snapshot": // replaces all that was known: at the start, and where the id could not be resumed from
                System.out.println("snapshot: " + data.get("reason").asText());
                contacts.clear();
                data.get("contacts").forEach(contact -> contacts.put(contact.get("contact").asText(), contact));
                break;
            case "change":
                contacts.put(data.get("contact").asText(), data);
                break;
            case "removed": // no longer watched
                contacts.remove(data.get("contact").asText());
                break;
            default: // what happens beside the contacts, and kinds of events that are yet to come
        }
    }

    private String whoIsFree() {
        List<String> free = new ArrayList<>(), unsure = new ArrayList<>();
        contacts.forEach((name, contact) -> {
            if (!contact.get("freshness").asText().equals("live")) {
                unsure.add(name);
            } else if (contact.get("available").asBoolean()) {
                free.add(name);
            }
        });
        return "free: " + String.join(", ", free) + (unsure.isEmpty() ? "" : "; not live: " + String.join(", ", unsure));
    }

    private void say(String words) {
        if (!words.equals(said)) {
            System.out.println(words);
            said = words;
        }
    }

    /** Waits in line until somebody is free; the id of the claim. */
    private static String claim(String group, String purpose) throws InterruptedException {
        Map<String, Object> wanted = Map.of("group", group, "for", purpose, "lease_seconds", 120);
        String name = UUID.randomUUID().toString(); // of all attempts: where a reply is lost, the next gets the same one
        while (true) {
            try {
                HttpURLConnection connection = connect("POST", "/v1/claims");
                connection.setRequestProperty("Idempotency-Key", name);
                connection.setRequestProperty("Prefer", "wait=" + WAIT);
                connection.setReadTimeout((WAIT + 10) * 1000);
                connection.setRequestProperty("Content-Type", "application/json");
                connection.setDoOutput(true);
                JSON.writeValue(connection.getOutputStream(), wanted);
                checked(connection);
                JsonNode claim = JSON.readTree(connection.getInputStream());
                System.out.println("claimed: " + claim.at("/contacts/0/contact").asText());
                return claim.get("id").asText();
            } catch (IOException failure) { // no service there, a lost reply, or nobody was free in time
                Thread.sleep(1000);
            }
        }
    }

    /** Where that fails the claim ends with its lease. */
    private static void release(String claim) {
        try {
            System.out.println(connect("DELETE", "/v1/claims/" + claim).getResponseCode() == 204 ? "released" : "the claim has ended");
        } catch (IOException gone) {
            System.out.println("not released");
        }
    }

    private static HttpURLConnection connect(String method, String path) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(URL + path).openConnection();
        connection.setRequestMethod(method);
        connection.setConnectTimeout(10_000);
        if (KEY != null) {
            connection.setRequestProperty("Authorization", "Bearer " + KEY);
        }
        return connection;
    }

    /** Throws IOException where trying again may help, and ends the program where it will not: a wrong key, or group. */
    private static void checked(HttpURLConnection connection) throws IOException, InterruptedException {
        int status = connection.getResponseCode();
        if (status < 400) {
            return;
        }
        String problem = new String(connection.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        if (status < 500 && status != 409 && status != 429) {
            System.err.println(problem);
            Runtime.getRuntime().halt(1);
        }
        Thread.sleep(1000L * connection.getHeaderFieldInt("Retry-After", 0));
        throw new IOException(problem);
    }
}
