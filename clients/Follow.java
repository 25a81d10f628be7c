import com.example.presence.ApiClient;
import com.example.presence.ApiException;
import com.example.presence.api.ClaimsApi;
import com.example.presence.api.EventsApi;
import com.example.presence.model.AnyContact;
import com.example.presence.model.ClaimRequest;
import com.example.presence.model.Contact;
import com.example.presence.model.Freshness;
import com.example.presence.model.RemovedContact;
import com.example.presence.model.Snapshot;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;

/** Claims somebody of a group with the generated client, then says who of the group is free, as its events tell. */
public final class Follow {
    private final ApiClient client = new ApiClient();
    private final ObjectMapper json = client.getObjectMapper();
    private final Map<String, Contact> contacts = new TreeMap<>();
    private String lastId;
    private String said;

    public static void main(String[] words) throws Exception {
        new Follow(System.getenv().getOrDefault("PWS_URL", "http://127.0.0.1:8000")).run(words[0], words[1]);
    }

    private Follow(String url) {
        client.updateBaseUri(url);
        String key = System.getenv("PWS_KEY");
        if (key != null) {
            client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
        }
    }

    private void run(String group, String purpose) throws Exception {
        ClaimsApi claims = new ClaimsApi(client);
        var claim = claims.createClaim(new ClaimRequest().group(group).purpose(purpose), UUID.randomUUID().toString(), "wait=60");
        System.out.println("claimed: " + claim.getContacts().get(0).getContact().getContact());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                claims.releaseClaim(claim.getId());
                System.out.println("released");
            } catch (ApiException gone) {
                System.out.println("the claim has ended");
            }
        }));
        // A generated method returns when its answer is whole, which a stream never is. The interceptor has its bytes.
        ApiClient streaming = new ApiClient().setResponseInterceptor(this::read).setRequestInterceptor(client.getRequestInterceptor());
        streaming.updateBaseUri(client.getBaseUri());
        EventsApi events = new EventsApi(streaming);
        while (true) {
            try {
                events.followEvents(null, null, List.of(group), null, null, null, null, lastId);
            } catch (ApiException failure) {
                if (failure.getCode() >= 400 && failure.getCode() < 500 && failure.getCode() != 429) {
                    throw failure; // a wrong key, or group
                }
            } catch (UncheckedIOException broken) { // the connection, in the middle of the stream
            }
            say("not sure");
            Thread.sleep(1000);
        }
    }

    private void read(HttpResponse<InputStream> response) {
        if (response.statusCode() != 200) {
            return;
        }
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
            String event = null, id = null, data = null;
            for (String line; (line = lines.readLine()) != null; ) {
                String[] field = line.split(": ", 2);
                switch (field[0]) {
                    case "event": event = field[1]; break;
                    case "id": id = field[1]; break;
                    case "data": data = field[1]; break;
                    case "":
                        if (data != null) {
                            take(event, data);
                            lastId = id;
                            say(whoIsFree());
                        }
                        data = null;
                        break;
                    default:
                }
            }
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    private void take(String event, String data) throws IOException {
        switch (event) {
            case "snapshot":
                Snapshot snapshot = json.readValue(data, Snapshot.class);
                System.out.println("snapshot: " + snapshot.getReason());
                contacts.clear();
                snapshot.getContacts().forEach(this::put);
                break;
            case "change":
                put(json.readValue(data, AnyContact.class));
                break;
            case "removed":
                contacts.remove(json.readValue(data, RemovedContact.class).getContact());
                break;
            default: // what happens beside the contacts, and kinds of events that are yet to come
        }
    }

    private void put(AnyContact contact) {
        contacts.put(contact.getContact().getContact(), contact.getContact());
    }

    private String whoIsFree() {
        return "free: " + names(true) + (names(false).isEmpty() ? "" : "; not live: " + names(false));
    }

    private String names(boolean live) {
        return contacts.values().stream()
            .filter(contact -> live ? contact.getAvailable() : contact.getFreshness() != Freshness.LIVE)
            .map(Contact::getContact)
            .collect(Collectors.joining(", "));
    }

    private void say(String words) {
        if (!words.equals(said)) {
            System.out.println(words);
            said = words;
        }
    }
}
