#!/usr/bin/perl
# Prints the presence of contacts, with SOAP::Lite (libsoap-lite-perl).
#
#     SOAP_PASSWORD=secret perl presence.pl http://127.0.0.1:8082/presence-service/soap ann@example.com joe@example.com
#
# SOAP_USER, SOAP_PASSWORD: the application user. SOAP_END_USER: who subscribes. SOAP_CALLBACK: where notifications go.
# SOAP_VERSION=1.2: that version instead of 1.1.

use strict;
use warnings;
use feature 'say';
use SOAP::Lite;

use constant PWS => 'urn:cisco:cup:presence:soap';
use constant SESSION_KEY_NOT_VALID => 101;

# What the server says in a fault's detail: decide by the code, texts vary between releases.
package Fault {
    use overload '""' => sub { my ($self) = @_; "fault $self->{code}: $self->{text}\n" }, fallback => 1;

    sub of {
        my ($class, $reply) = @_;
        my ($code, $message) = map { scalar $reply->valueof("//description/$_") } qw(code message);
        return bless { code => $code // 0, text => $message // 'no description' }, $class;
    }
}

my ($url, @uris) = @ARGV;

SOAP::Lite->soapversion($ENV{SOAP_VERSION} // '1.1');    # of all of them: before the first is made
my $soap = SOAP::Lite->new(proxy => $url);
$soap->ns(PWS, 'pws');               # every element is qualified, those inside an operation too
$soap->autotype(0);                  # the schema knows the types: no xsi:type
$soap->on_fault(sub {
    my ($self, $reply) = @_;
    die ref $reply ? Fault->of($reply) : $self->transport->status . "\n";
});

# Elements in the order of the schema: name => value, name => [elements inside], or made already.
sub elements {
    my @elements;
    while (@_) {
        my $name = shift;
        if (ref $name) { push @elements, $name; next }
        my $value = shift;
        my $data = SOAP::Data->name("pws:$name");
        push @elements, ref $value ? $data->value(\SOAP::Data->value(elements(@$value))) : $data->value($value);
    }
    return @elements;
}

# One operation, with the session's key in the SOAP header; the reply, a SOAP::SOM.
sub call {
    my ($key, $operation, @content) = @_;
    my $header = SOAP::Header->name('pws:session-key' => $key);
    my @elements = @content ? elements(@content) : SOAP::Data->type(xml => '');    # nothing inside: no xsi:nil either
    return $soap->call(SOAP::Data->name("pws:$operation"), @elements, $header);
}

# The key of a new session; with force=false it is the one from before, if that lives.
sub login {
    my $operation = SOAP::Data->name('pws:login')->attr({ force => 'false' });
    my $reply = $soap->call($operation, elements(@_));
    return $reply->valueof('//success/session-key')
        // die 'homed on another node: ' . $reply->dataof('//redirect')->attr->{primaryServer} . "\n";
}

sub print_presence {
    my ($how, $reply) = @_;
    for my $contact ($reply->dataof('//basicPresenceList/contact')) {
        my $attributes = $contact->attr;
        say "$how: $attributes->{contactURI} $attributes->{presenceStatus}";
    }
}

my @contacts_list = (contactsList => [map { SOAP::Data->name('pws:contact')->attr({ contactURI => $_ }) } @uris]);
my @basic = (presenceType => 'BASIC_PRESENCE');

my $application = login(username => $ENV{SOAP_USER} // 'pwsapp', password => $ENV{SOAP_PASSWORD} // 'secret');
my $done = eval {
    my $user = login(username => $ENV{SOAP_END_USER} // 'dispatcher', 'app-session-id' => $application);
    say 'logged in';

    my $callback = $ENV{SOAP_CALLBACK} // 'http://127.0.0.1:8080/presence';
    my $endpoint = call($application, 'registerEndPoint', url => $callback, endPointID => 0, expiration => 3600)
        ->valueof('//endPointID');
    my $subscription = call($user, 'subscribe', @contacts_list, subscriptionType => 'PRESENCE_NOTIFICATION',
        expiration => 3600, endPointID => $endpoint, subscriptionID => 0)->valueof('//subscriptionID');
    say "endpoint $endpoint, subscription $subscription";

    print_presence('fetched', call($user, 'getSubscribedPresence', subscriptionID => $subscription, @basic));
    print_presence('polled', call($user, 'getPolledPresence', @contacts_list, @basic));

    call($user, 'unsubscribe', unsubscribeRequest => [subscriptionID => $subscription, unsubscribeAll => '']);
    call($application, 'unregisterEndPoint', endPointID => $endpoint);
    call($user, 'logout');

    eval { call($user, 'getPolledPresence', @contacts_list, @basic); 1 } or do {
        my $fault = $@;
        die $fault unless ref $fault && $fault->{code} == SESSION_KEY_NOT_VALID;
        say 'fault 101: the session is over, log in again';
    };
    1;
};
my $error = $@;
call($application, 'logout');    # takes along the end users, endpoints and subscriptions that are left
say 'logged out';
die $error unless $done;
